import pytest
import torch
from test_self_attention_block import disturbed, inplace_abn, written

from pixelwise.errors import InputError
from pixelwise.layers.interlaced_sparse_self_attention import InterlacedSparseSelfAttention
from pixelwise.layers.shared.interlaced_steps import two_step_weights
from pixelwise.ops.cells import margins, pad

PER_PIXEL = {"isa"}
OPTIONS = {"isa": {"down_factors": ((4, 4),)}}
VARIANTS = {
    "isa": [
        {"down_factors": ((4, 3),), "fuse": False, "out_channels": 6},
        {"down_factors": ((3, 2), (2, 4)), "key_channels": 3, "value_channels": 5},
        {"down_factors": ((9, 9),), "value_bias": True, "activation": "leaky_relu"},
    ]
}
SIDES = (512, 1024)  # below, what is linear in the pixels costs too much beside what is not


def output_shape(layer, x):
    return len(x), 6, *x.shape[2:]  # of the variant with other widths


def reconstruct(layer, x, at):
    heads = layer.maps(x, at).spatial
    contexts = [
        context(stage, x, at, head)
        for stage, head in zip(layer.stages, heads.unbind(1), strict=True)
    ]
    if layer.fusion is None:
        return contexts[0]
    pixel = x[:, :, at[0], at[1]][:, :, None, None]
    beside = pixel if layer.widen is None else layer.widen(pixel)
    return layer.fusion(torch.cat([beside, *(c[:, :, None, None] for c in contexts)], 1))[
        :, :, 0, 0
    ]


def context(stage, x, at, head):
    """What the pixel `at` sees, from the weights of its map and what lies at each place."""
    padded = pad(x, stage.cell)
    (top, _), (left, _) = margins(x, stage.cell)
    row, column = at[0] + top, at[1] + left
    weights = two_step_weights(stage.far, stage.near, padded, stage.cell, (row, column))
    weights = weights[:, 0]  # for what is cut off alone
    weights[:, top : top + x.shape[2], left : left + x.shape[3]] = head
    value = stage.far.value(padded)
    seen = []
    for y in range(stage.cell[0]):
        for z in range(stage.cell[1]):
            group = weights[:, y :: stage.cell[0], z :: stage.cell[1]]
            near = group.sum((1, 2))
            far = group / near[:, None, None]
            mixed = torch.einsum(
                "bij,bcij->bc", far, value[:, :, y :: stage.cell[0], z :: stage.cell[1]]
            )
            step = stage.far.project(mixed[:, :, None, None])
            seen.append(near[:, None] * stage.near.value(step)[:, :, 0, 0])
    return stage.near.project(sum(seen)[:, :, None, None])[:, :, 0, 0]


def layer_of(**options):
    torch.manual_seed(1)
    return disturbed(InterlacedSparseSelfAttention(8, **options))


@pytest.mark.parametrize("factors", [((4, 4),), ((3, 2), (2, 4)), ((9, 9),), ((1, 1),)], ids=str)
@pytest.mark.parametrize("options", [{}, {"value_bias": True, "out_channels": 6}], ids=str)
def test_maps_and_widths(factors, options):
    layer = layer_of(down_factors=factors, key_channels=3, value_channels=5, **options)
    assert layer.keeps_shape == ("out_channels" not in options)
    x = torch.randn(2, 8, 6, 7).double()
    y = layer(x)
    for at in [(0, 0), (3, 4), (5, 6)]:
        torch.testing.assert_close(reconstruct(layer, x, at), y[:, :, at[0], at[1]])
        maps = layer.maps(x, at).spatial
        assert maps.shape == (2, len(factors), 6, 7)
        assert (maps.sum((2, 3)) <= 1 + 1e-12).all()


def test_without_zeros_around_it_the_map_is_a_distribution():
    maps = layer_of(down_factors=((3, 2),)).maps(torch.randn(2, 8, 6, 8).double(), (4, 5)).spatial
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 1).double())


def test_bare_block_is_the_one_context():
    layer = layer_of(down_factors=((4, 3),), fuse=False)
    assert layer.fusion is None
    x = torch.randn(2, 8, 7, 7).double()
    torch.testing.assert_close(reconstruct(layer, x, (6, 2)), layer(x)[:, :, 6, 2])


def test_a_cell_as_large_as_the_map_is_attention_between_all_pixels():
    layer = layer_of(down_factors=((5, 4),), fuse=False)
    far, near = layer.stages[0].far, layer.stages[0].near
    x = torch.randn(2, 8, 5, 4).double()
    torch.testing.assert_close(layer(x), near(far.project(far.value(x))))


def test_dropout_drops_channels_in_training_only():
    layer = layer_of(dropout=0.5, down_factors=((2, 2),)).train()
    y = layer(torch.randn(2, 8, 6, 6).double() + 1)
    assert 0 < (y == 0).all(dim=(2, 3)).sum() < 16
    assert layer.dropout.p == 0.5


def joined(layer, layout, places, norm, wide, fused):
    """The state of `layer` as a checkpoint: names of its blocks, of norms, and of the rest."""
    state = {}
    for number, stage in enumerate(layer.stages):
        for block, place in zip((stage.far, stage.near), places, strict=True):
            prefix = place.format(number)
            state |= {f"{prefix}.{k}": v for k, v in written(block, layout).items()}
    for part, name in ((layer.widen, wide), (layer.fusion, fused)):
        for key, value in {} if part is None else part.state_dict().items():
            number, parameter = key.split(".")
            state[f"{name}.{norm[int(number)]}.{parameter}"] = value
    return state


NAMES = ("long_range_sa", "short_range_sa")
STAGES = [f"stages.{{}}.{name}" for name in NAMES]
TWO = ((2, 2), (3, 2))
LAYOUTS = {
    "bare block": ({"fuse": False}, "nested", NAMES, ("0", "1.0")),
    "bare flat block": ({"fuse": False}, "flat", NAMES, ("0", "1")),
    "module": ({}, "nested", STAGES, ("0", "1.0")),
    "module of two": ({"down_factors": TWO}, "nested", STAGES, ("0", "1.0")),
    "flat module of two": ({"down_factors": TWO}, "flat", STAGES, ("0", "1")),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name):
    options, layout, places, norm = LAYOUTS[name]
    layer, other = layer_of(**options), InterlacedSparseSelfAttention(8, **options).double().eval()
    other.load_reference(joined(layer, layout, places, norm, "up_conv", "conv_bn"))
    x = torch.randn(1, 8, 5, 6).double()
    assert torch.equal(layer(x), other(x))


def test_inplace_abn():
    layer = layer_of(down_factors=TWO, activation="leaky_relu")
    with torch.no_grad():
        for part in layer.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.abs_()
    state = inplace_abn(joined(layer, "nested", STAGES, ("0", "1.0"), "up_conv", "conv_bn"))
    assert "up_conv.1.running_var" in state
    other = InterlacedSparseSelfAttention(8, down_factors=TWO, activation="leaky_relu")
    other.double().eval().load_reference(state)
    x = torch.randn(1, 8, 5, 6).double()
    torch.testing.assert_close(layer(x), other(x))
    with pytest.raises(InputError, match="activation='relu': the checkpoint has InPlaceABN"):
        InterlacedSparseSelfAttention(8, down_factors=TWO).load_reference(state)


def test_mmsegmentation_concatenates_the_other_way_round():
    layer = layer_of(value_bias=True, down_factors=((2, 2),))
    other = InterlacedSparseSelfAttention(8, value_bias=True, down_factors=((2, 2),))
    places = ("global_relation", "local_relation")
    state = joined(layer, "mmsegmentation", places, ("conv", "bn"), "", "out_conv")
    weight = state["out_conv.conv.weight"]
    state["out_conv.conv.weight"] = torch.cat([weight[:, 8:], weight[:, :8]], 1)
    other.double().eval().load_reference(state)
    x = torch.randn(1, 8, 5, 6).double()
    assert torch.equal(layer(x), other(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_channels": 0}, "key_channels=0: must be at least 1"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1"),
        ({"down_factors": ()}, r"down_factors=\(\): must be pairs"),
        ({"down_factors": ((8,),)}, r"must be pairs \(height, width\) of at least 1; e\.g\."),
        ({"down_factors": ((8, 0),)}, "must be pairs"),
        ({"down_factors": TWO, "fuse": False}, "fuse=False: must be True with 2 down_factors"),
        ({"dropout": 1.0}, r"dropout=1\.0: must be at least 0 and below 1"),
        ({"activation": "elu"}, "activation='elu': must be one of"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        InterlacedSparseSelfAttention(16, **options)
