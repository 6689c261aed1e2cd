import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.convolution_window_mix import ConvolutionWindowMix
from pixelwise.layers.registry import create

PER_PIXEL = {"acmix_window"}
VARIANTS = {
    "acmix_window": [
        {"window_size": 4, "shift": 2},
        {"window_size": (2, 3), "bias": False, "scale": 0.3, "shift": 1, "heads": 2},
    ]
}


def rolled(layer, x):
    rows, columns = layer.windows.size
    padded = F.pad(x, (0, -x.shape[3] % columns, 0, -x.shape[2] % rows))
    return padded.roll((-layer.windows.shift, -layer.windows.shift), (2, 3))


def convolved(layer, x):
    """On the rolled map, first the taps, then the shifts, as the authors do; rolled back."""
    map_ = layer.project(rolled(layer, x).movedim(1, 3)).movedim(3, 1)
    parts = map_.unflatten(1, (3 * layer.heads, -1))
    taps = torch.einsum("ts,bsgij->bgtij", layer.convolution.taps.weight, parts)
    taps = taps + layer.convolution.taps.bias[:, None, None]
    shift = layer.convolution.shift.weight
    y = F.conv2d(taps.flatten(1, 2), shift, padding=1, groups=layer.convolution.width)
    return y.roll((layer.windows.shift, layer.windows.shift), (2, 3))


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial
    value = layer.project(x.movedim(1, 3)).movedim(3, 1).chunk(3, dim=1)[2]
    seen = torch.einsum("bmij,bmdij->bmd", weights, value.unflatten(1, (layer.heads, -1)))
    if layer.project.bias is not None:  # what the padding tells
        beyond = layer.project.bias.chunk(3)[2].view(layer.heads, -1)
        seen = seen + (1 - weights.sum((2, 3)))[..., None] * beyond
    mixed = convolved(layer, x)[:, :, at[0], at[1]]
    return layer.attention_rate * layer.expand(seen.flatten(1)) + layer.convolution_rate * mixed


def random(**options):
    torch.manual_seed(0)
    layer = ConvolutionWindowMix(8, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize(
    "options",
    [
        {"window_size": 4, "shift": 2},
        {"window_size": 4, "shift": 1, "heads": 2},
        {"window_size": (2, 3), "bias": False, "scale": 0.3, "shift": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(8, 12), (9, 10), (3, 4), (1, 1)], ids=str)
def test_every_option_is_what_the_equations_say(options, size):
    layer, x = random(**options), torch.randn(2, 8, *size).double()
    y = layer(x)
    for at in [(0, 0), (size[0] // 2, size[1] // 2), (size[0] - 1, 0), (size[0] - 1, size[1] - 1)]:
        torch.testing.assert_close(reconstruct(layer, x, at), y[:, :, at[0], at[1]])


@pytest.mark.slow
def test_a_shift_exports_with_free_height_and_width():
    layer, x = random(window_size=4, shift=2).eval(), torch.randn(1, 8, 6, 9).double()
    exported = torch.export.export(
        layer, (x,), dynamic_shapes=({2: torch.export.Dim("h"), 3: torch.export.Dim("w")},)
    ).module()
    for size in [(6, 9), (8, 8), (3, 13)]:
        x = torch.randn(1, 8, *size).double()
        torch.testing.assert_close(exported(x), layer(x))


def test_pixels_that_meet_by_rolling_do_not_look_at_each_other():
    layer, x = random(window_size=4, shift=2), torch.randn(1, 8, 8, 8).double()
    weights = layer.maps(x, (0, 0)).spatial
    assert (weights[:, :, :2, :2] > 1e-9).all()
    assert (weights[:, :, 6:] < 1e-9).all()
    assert (weights[:, :, :, 6:] < 1e-9).all()


def test_mask_is_between_regions_of_one_window():
    mask = create("acmix_window", 8, window_size=2, shift=1).windows.apart(torch.zeros(1, 8, 4, 4))
    assert mask.shape == (4, 4, 4)
    assert (mask[0] == 0).all()
    assert torch.equal(mask[1] == 0, torch.eye(2).bool().repeat(2, 2))
    assert torch.equal(mask[3] == 0, torch.eye(4).bool())
    assert set(mask.unique().tolist()) == {-100.0, 0.0}


def test_position_depends_on_the_offset_alone():
    layer = ConvolutionWindowMix(8, window_size=(2, 3))
    pairs = {}
    for i in range(6):
        for j in range(6):
            offset = i // 3 - j // 3, i % 3 - j % 3
            pairs.setdefault(offset, set()).add(layer.offsets[i, j].item())
    assert all(len(places) == 1 for places in pairs.values())
    assert len(pairs) == len(layer.position) == 15


def test_authors_index_is_not_needed():
    layer = ConvolutionWindowMix(8)
    state = {
        "qkv.weight": torch.randn(24, 8),
        "qkv.bias": torch.randn(24),
        "proj.weight": torch.randn(8, 8),
        "proj.bias": torch.randn(8),
        "relative_position_bias_table": torch.randn(169, 4),
        "relative_position_index": torch.zeros(49, 49, dtype=torch.int64),
        "fc.weight": torch.randn(9, 12, 1, 1),
        "fc.bias": torch.randn(9),
        "dep_conv.weight": torch.randn(8, 9, 3, 3),
        "rate1": torch.tensor([0.3]),
        "rate2": torch.tensor([0.8]),
    }
    layer.load_reference(state)
    assert torch.equal(layer.position, state["relative_position_bias_table"])
    assert layer.attention_rate.item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_size": 0}, "window_size=0: must be at least 1"),
        ({"window_size": (4, 0)}, "window_size=0: must be at least 1"),
        ({"heads": 3}, "heads=3: must divide 8 channels"),
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"shift": -1}, "shift=-1: must be at least 0"),
        ({"shift": 7}, "shift=7: must be less than window_size=7; half a window is usual"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ConvolutionWindowMix(8, **options)
