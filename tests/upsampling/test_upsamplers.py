"""What the docstrings of the upsamplers say beyond the contract."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.registry import create_layer
from pixelwise.layers.upsampling.registry import create_upsampler, names, resolve
from pixelwise.ops.point_reading import read_points
from pixelwise.ops.reassembly import centres, reassembled


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5)).double()


def moved(upsampler):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in upsampler.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return upsampler.double()


@pytest.mark.parametrize("style", ["lp", "pl"])
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (13, 20), (2, 2)])
def test_dysample_without_offsets_is_bilinear_to_any_size(style, size):
    upsampler = create_upsampler("dysample", 8, groups=2, style=style).double()
    torch.nn.init.zeros_(upsampler.offset.weight)
    x = drawn(2, 8, 4, 3)
    wanted = F.interpolate(x, size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsampler(x, drawn(2, 1, *size)), wanted)


def test_dysample_reads_where_its_offsets_point():
    upsampler = create_upsampler("dysample", 4, groups=2).double()
    torch.nn.init.zeros_(upsampler.offset.weight)
    bias = torch.zeros(2, 2, 4)
    bias[0, 1] = 4.0  # columns of the second group: one coarse pixel to the right
    upsampler.offset.bias.data = bias.flatten().double()
    x = drawn(1, 4, 3, 6)
    y = upsampler(x, drawn(1, 1, 6, 12))
    plain = F.interpolate(x, (6, 12), mode="bilinear")
    torch.testing.assert_close(y[:, :2], plain[:, :2])
    torch.testing.assert_close(y[:, 2:, :, 1:9], plain[:, 2:, :, 3:11])


def test_carafe_is_its_equation():
    upsampler = moved(create_upsampler("carafe", 4, hidden=3, kernel_size=3, groups=2))
    x = drawn(1, 4, 3, 5)
    weights = F.pixel_shuffle(upsampler.encode(upsampler.reduce(x)), 2)
    weights = weights.view(1, 2, 9, 6, 10).softmax(2)
    padded, y = F.pad(x, (1,) * 4), upsampler(x, drawn(1, 1, 6, 10))
    for channel, row, column in ((0, 0, 0), (1, 3, 4), (3, 5, 9), (2, 2, 7)):
        i, j = row // 2, column // 2
        window = padded[0, channel, i : i + 3, j : j + 3].flatten()
        found = (window * weights[0, channel // 2, :, row, column]).sum()
        torch.testing.assert_close(y[0, channel, row, column], found)
    other = upsampler(x, drawn(1, 1, 5, 9))
    torch.testing.assert_close(other, F.interpolate(y, (5, 9), mode="bilinear"))


def test_equal_weights_of_freqfusion_blur_with_its_window():
    """As it starts, but for small numbers: the Hamming window around where each pixel lies."""
    upsampler = create_upsampler("freqfusion", 4, guide_channels=3, hidden=8, padding="mirror")
    for part in (upsampler.low, upsampler.high):
        torch.nn.init.zeros_(part.weight)
    upsampler.double()
    x, fine = drawn(1, 4, 4, 5), drawn(1, 3, 7, 10)
    large, sharp = upsampler.both(x, fine)
    windows = [torch.hamming_window(side, periodic=False).double() for side in (5, 3)]
    kernels = [w[:, None] * w / (w.sum() ** 2) for w in windows]

    def blurred(z, kernel):
        wide = F.pad(z, (len(kernel) // 2,) * 4, mode="reflect")
        return F.conv2d(wide, kernel.expand(z.shape[1], 1, -1, -1), groups=z.shape[1])

    rows, columns = centres(x, (7, 10))
    assert rows.tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert columns.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    close = {"rtol": 1e-6, "atol": 1e-6}  # the window is stored in float32
    torch.testing.assert_close(large, blurred(x, kernels[0])[:, :, rows][..., columns], **close)
    torch.testing.assert_close(sharp, 2 * fine - blurred(fine, kernels[1]), **close)


def test_without_residual_the_edges_take_the_place_of_the_map():
    one, other = (
        moved(create_upsampler("freqfusion", 4, hidden=8, residual=kept)) for kept in (True, False)
    )
    other.load_state_dict(one.state_dict())
    x, fine = drawn(1, 4, 3, 3), drawn(1, 4, 6, 6)
    torch.testing.assert_close(one.both(x, fine).fine - fine, other.both(x, fine).fine)


@pytest.mark.parametrize("mirror", [False, True])
def test_reassembly_with_one_weight_moves_the_map(mirror):
    x, weights = drawn(1, 2, 3, 4), torch.zeros(1, 1, 9, 3, 4).double()
    weights[:, :, 5] = 1  # the pixel to the right
    found = reassembled(x, weights, mirror=mirror)
    last = x[..., -2] if mirror else torch.zeros_like(x[..., 0])
    torch.testing.assert_close(found, torch.cat([x[..., 1:], last[..., None]], dim=3))


def test_points_beyond_the_border_are_on_it():
    x = drawn(1, 1, 3, 4)
    rows, columns = (torch.tensor(v).double().view(1, 1, 1, 3) for v in ([-5, 1, 9], [0.5, -2, 9]))
    wanted = torch.stack([x[0, 0, 0, :2].mean(), x[0, 0, 1, 0], x[0, 0, 2, 3]])
    torch.testing.assert_close(read_points(x, rows, columns).flatten(), wanted)


@pytest.mark.parametrize("key", ["dysample", "freqfusion"])
def test_the_constant_buffer_of_checkpoints_is_left_out(key):
    options = {"resample": True, "hidden": 8} if key == "freqfusion" else {}
    upsampler = create_upsampler(key, 8, **options)
    inverse = {ours: theirs for theirs, ours in upsampler.reference_keys.items()}
    state = {}
    for name, value in upsampler.state_dict().items():
        first, _, rest = name.partition(".")
        if first == "sampling":
            part, _, end = rest.partition(".")
            within = {o: t for t, o in upsampler.sampling.reference_keys.items()}
            state[f"dysampler.{within[part]}.{end}"] = value + 1
        else:
            state[".".join(filter(None, (inverse[first], rest)))] = value + 1
    start = "dysampler." if key == "freqfusion" else ""
    upsampler.load_reference({**state, f"{start}init_pos": torch.zeros(1, 32, 1, 1)})
    assert all(
        torch.equal(value, wanted)
        for value, wanted in zip(upsampler.state_dict().values(), state.values(), strict=True)
    )


@pytest.mark.parametrize(
    ("key", "options", "told"),
    [
        ("dysample", {"groups": 3}, "groups=3: channels=16 must be a multiple of 3; lower"),
        ("dysample", {"scale": 3, "style": "pl"}, "scale=3: channels=16 must be a multiple of 9;"),
        ("dysample", {"style": "lp2"}, "style='lp2': must be one of 'lp', 'pl'; did you mean"),
        ("dysample", {"scale": 0}, "scale=0: must be at least 1; raise"),
        ("carafe", {"kernel_size": 4}, "kernel_size=4: must be odd; e.g. kernel_size=5"),
        ("carafe", {"groups": 3}, "groups=3: must divide channels=16; lower"),
        ("carafe", {"hidden": 0}, "hidden=0: must be at least 1; raise"),
        ("freqfusion", {"high_kernel": 0}, "high_kernel=0: must be odd; e.g. high_kernel=1"),
        ("freqfusion", {"padding": "reflect"}, "padding='reflect': must be one of 'zeros', 'mir"),
        ("freqfusion", {"summed": True}, "guided=True with summed=True: contradict; give guided"),
        ("freqfusion", {"high_pass": False}, "guided=True with high_pass=False: contradict; give"),
        ("freqfusion", {"groups": 5}, "groups=5: must divide 16 channels; lower"),
        ("freqfusion", {"hidden": 12, "resample": True}, "hidden=12: must be a multiple of 8 with"),
        ("freqfusion", {"resample": True, "resample_groups": 3}, "resample_groups=3: must divide"),
        ("bilinear", {"align_corners": True}, "option='align_corners': unknown option of upsamp"),
    ],
)
def test_options_out_of_range(key, options, told):
    with pytest.raises(InputError, match=told):
        create_upsampler(key, 16, **options)
    with pytest.raises(InputError, match="channels=0: must be at least 1; raise"):
        create_upsampler(key, 0)


def test_names():
    assert names() == ["bilinear", "carafe", "dysample", "freqfusion"]
    assert {resolve(n) for n in ("CARAFEPack", "carafe", "内容感知特征重组")} == {"carafe"}
    assert {resolve(n) for n in ("DySample", "DynamicSampling", "动态上采样")} == {"dysample"}
    assert resolve("FreqFusion") == "freqfusion"
    with pytest.raises(InputError, match=r"upsampler='carrafe': unknown .*; did you mean 'carafe'"):
        resolve("carrafe")
    with pytest.raises(
        InputError, match=r"layer='DySample': is an upsampler.*; make it with pixel"
    ):
        create_layer("DySample", 16)
    for typed, meant in (("dysampel", "dysample"), ("caraf", "carafe"), ("freqfuse", "freqfusion")):
        told = f"layer='{typed}': unknown layer; did you mean the upsampler '{meant}'"
        with pytest.raises(InputError, match=told):
            create_layer(typed, 16)


def test_where_it_is_to_be_and_in_what_type():
    assert create_upsampler("dysample", 8, device="meta").offset.weight.is_meta
    assert create_upsampler("dysample", 8, dtype=torch.float64).offset.weight.dtype == torch.float64
    with pytest.raises(InputError, match="device='gpu': PyTorch has none of this name here; give"):
        create_upsampler("dysample", 8, device="gpu")
    with pytest.raises(InputError, match=r"dtype=torch\.int64: must be torch\.float64, "):
        create_upsampler("dysample", 8, dtype=torch.int64)


@pytest.mark.parametrize("key", names())
def test_maps_without_pixels_are_told(key):
    upsampler, x = create_upsampler(key, 8), drawn(1, 8, 3, 3).float()
    with pytest.raises(InputError, match=r"fine=\(1, 8, 0, 3\): rows and columns of upsampler '"):
        upsampler(x, x[:, :, :0])
    with pytest.raises(InputError, match=r"x=\(1, 8, 3, 0\): rows and columns of upsampler '"):
        upsampler(x[..., :0], x)
