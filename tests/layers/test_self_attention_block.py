import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.self_attention_block import SelfAttentionBlock

PER_PIXEL = {"self_attention"}
VARIANTS = {
    "self_attention": [
        {"key_channels": 5, "value_channels": 7, "out_channels": 9, "value_bias": True},
        {"bias": True, "normalise_output": False, "pool": 2},
        {"pool": 2, "activation": "leaky_relu"},
    ]
}


def output_shape(layer, x):
    return len(x), 9, *x.shape[2:]  # of the variant with other widths


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, 0]
    seen = torch.einsum("bij,bcij->bc", weights, layer.value(x))
    return layer.project(seen[:, :, None, None])[:, :, 0, 0]


def disturbed(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer.double().eval()


def test_map_is_a_distribution():
    maps = SelfAttentionBlock(16).maps(torch.randn(2, 16, 6, 5), at=(5, 4)).spatial
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 1))


def test_widths_and_biases():
    layer = SelfAttentionBlock(
        12, key_channels=5, value_channels=7, out_channels=9, bias=True, value_bias=False
    )
    assert not layer.keeps_shape
    assert layer(torch.randn(2, 12, 6, 5)).shape == (2, 9, 6, 5)
    assert layer.query[1][0].weight.shape == (5, 5, 1, 1)
    assert layer.value.bias is None
    assert layer.query[0][0].bias is not None
    assert SelfAttentionBlock(8, value_bias=True).value.bias is not None
    assert SelfAttentionBlock(8, value_bias=True).project[0].bias is None
    torch.testing.assert_close(
        reconstruct(disturbed(layer), x := torch.randn(1, 12, 4, 3).double(), (3, 1)),
        layer(x)[:, :, 3, 1],
    )


def test_one_channel_has_one_key():
    assert SelfAttentionBlock(1)(torch.randn(2, 1, 3, 4)).shape == (2, 1, 3, 4)


def test_zero_at_initialisation_without_a_norm():
    x = torch.randn(2, 16, 6, 5)
    layer = SelfAttentionBlock(16, bias=True, normalise_output=False)
    assert not layer(x).any()
    layer.reset_parameters()
    assert not layer(x).any()


def test_pooled_attention_is_attention_on_maxima_and_its_maps_say_so():
    options = {"bias": True, "normalise_output": False}
    layer = disturbed(SelfAttentionBlock(8, pool=2, **options))
    plain = SelfAttentionBlock(8, **options).double().eval()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 8, 7, 9).double()
    small = plain(F.max_pool2d(x, 2))
    y = layer(x)
    wanted = F.interpolate(small, size=(7, 9), mode="bilinear", align_corners=True)
    torch.testing.assert_close(y, wanted)
    for at in [(0, 0), (3, 5), (6, 8)]:
        weights = layer.maps(x, at).spatial
        assert weights.shape == (2, 1, 7, 9)
        assert not weights[:, :, 6].any()  # the last row is in no window
        pooled = F.avg_pool2d(weights, 2)[:, 0] * 4
        seen = torch.einsum("bij,bcij->bc", pooled, layer.value(F.max_pool2d(x, 2)))
        found = layer.project(seen[:, :, None, None])[:, :, 0, 0]
        torch.testing.assert_close(found, y[:, :, at[0], at[1]])


def test_map_smaller_than_the_window():
    layer = SelfAttentionBlock(8, pool=4).eval()
    assert layer(torch.randn(1, 8, 4, 5)).shape == (1, 8, 4, 5)
    for call in (layer, lambda x: layer.maps(x, (0, 0))):
        with pytest.raises(InputError, match=r"rows and columns .* must be at least 4"):
            call(torch.randn(1, 8, 3, 5))


def test_fixed_norms_while_training():
    layer = disturbed(SelfAttentionBlock(8))
    x = torch.randn(2, 8, 5, 4).double()
    wanted = layer(x)
    layer.train()
    for part in layer.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()
    torch.testing.assert_close(layer(x), wanted)


NESTED = {"0": "0.0", "1.0": "0.1", "2": "1.0", "3.0": "1.1"}
FLAT = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1"}
MMCV = {"0.conv": "0.0", "0.bn": "0.1", "1.conv": "1.0", "1.bn": "1.1"}
LAYOUTS = {
    "nested": {"f_query": ("query", NESTED), "f_key": ("keys", NESTED), "f_value": ("value", None)}
    | {"W": ("project", {"0": "0", "1.0": "1"})},
    "flat": {"f_query": ("query", FLAT), "f_key": ("keys", FLAT), "f_value": ("value", None)}
    | {"W": ("project", {"0": "0", "1": "1"})},
    "mmsegmentation": {
        "query_project": ("query", MMCV),
        "key_project": ("keys", MMCV),
        "value_project": ("value", None),
        "output_project": ("project", {"conv": "0", "bn": "1"}),
    },
}


def written(layer, layout):
    """The state of `layer` as a checkpoint in one of the known layouts."""
    names = {
        f"{ours}.{place}" if places else ours: f"{theirs}.{part}" if places else theirs
        for theirs, (ours, places) in LAYOUTS[layout].items()
        for part, place in (places or {"": ""}).items()
    }
    state = {}
    for name, value in layer.state_dict().items():
        module, _, parameter = name.rpartition(".")
        state[f"{names[module]}.{parameter}"] = value.clone()
    return state


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    layer, other = disturbed(SelfAttentionBlock(8)), SelfAttentionBlock(8).double().eval()
    other.load_reference(written(layer, layout))
    x = torch.randn(1, 8, 3, 4).double()
    assert torch.equal(layer(x), other(x))


def test_bare_projection_and_biases_load():
    options = {"bias": True, "normalise_output": False}
    layer, other = (SelfAttentionBlock(8, **options).eval() for _ in range(2))
    torch.nn.init.normal_(layer.project.weight)
    back = {ours: theirs for theirs, ours in reversed(SelfAttentionBlock.reference_keys.items())}
    state = {}
    for name, value in layer.state_dict().items():
        ours = next(o for o in back if name.startswith(o + "."))
        state[back[ours] + name.removeprefix(ours)] = value
    assert "W.weight" in state
    other.load_reference(state)
    x = torch.randn(1, 8, 3, 4)
    assert torch.equal(layer(x), other(x))


def inplace_abn(state):
    """A nested checkpoint, as one that was trained with InPlaceABN writes it."""
    found = {}
    for key, value in state.items():
        module, _, parameter = key.rpartition(".")
        if f"{module}.running_var" in state:
            if parameter == "num_batches_tracked":
                continue
            key = f"{module.removesuffix('.0')}.{parameter}"
            if parameter == "weight":
                value = -(value - 1e-5)  # its sign does not count
        found[key] = value
    return found


def test_inplace_abn():
    layer = disturbed(SelfAttentionBlock(8, activation="leaky_relu"))
    with torch.no_grad():
        for part in layer.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.abs_()
    state = inplace_abn(written(layer, "nested"))
    assert "W.1.running_var" in state
    other = SelfAttentionBlock(8, activation="leaky_relu").double().eval()
    other.load_reference(state)
    x = torch.randn(1, 8, 3, 4).double()
    torch.testing.assert_close(layer(x), other(x))
    with pytest.raises(
        InputError, match=r"InPlaceABN.*build the layer with activation='leaky_relu"
    ):
        SelfAttentionBlock(8).load_reference(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_channels": 0}, "key_channels=0: must be at least 1"),
        ({"value_channels": 0}, "value_channels=0: must be at least 1"),
        ({"out_channels": -1}, "out_channels=-1: must be at least 1"),
        ({"pool": 0}, "pool=0: must be at least 1"),
        ({"activation": "gelu"}, "activation='gelu': must be one of 'relu', 'leaky_relu'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        SelfAttentionBlock(16, **options)


def test_a_broken_inplace_abn_checkpoint_is_refused_with_what_it_lacks():
    layer = SelfAttentionBlock(8, activation="leaky_relu")
    broken = {f"f_query.1.{part}": torch.ones(4) for part in ("running_mean", "running_var")}
    with pytest.raises(InputError, match=r"missing: .*query\.0\.1\.weight"):
        layer.load_reference(broken)
