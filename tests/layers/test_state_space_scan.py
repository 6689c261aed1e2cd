import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.state_space_scan import StateSpaceScan

PER_PIXEL = {"ss2d"}
OPTIONS = {"ss2d": {"expansion": 1.0, "states": 2}}
VARIANTS = {
    "ss2d": [
        {"route": "rows", "gate": "none", "norm": "none", "states": 1, "step_rank": 3},
        {"route": "rows_both_ways", "gate": "linear", "norm": "layer_convolution", "bias": True},
        {"norm": "softmax", "kernel_size": 1, "output_activation": True, "expansion": 0.5},
        {"norm": "sigmoid", "kernel_size": 5, "kernel_bias": False},
        {"norm": "convolution", "states": 3},
    ]
}


def tokens(layer, x):
    """Features to scan and gates, as the equations say."""
    both = torch.einsum("oc,bchw->bohw", layer.expand.weight, x)
    seen, gate = both.chunk(2, dim=1)
    kernel = layer.convolve
    seen = F.conv2d(seen, kernel.weight, kernel.bias, padding=1, groups=seen.shape[1])
    return F.silu(seen), F.silu(gate)


def reconstruct(layer, x, at):
    seen, gate = tokens(layer, x)
    weights = torch.unflatten(layer.maps(x, at).spatial, 1, (4, -1))
    read = layer.norm(torch.einsum("bkehw,behw->be", weights, seen))
    return torch.einsum("oe,be->bo", layer.project.weight, read * gate[:, :, at[0], at[1]])


def random(channels=6, **options):
    torch.manual_seed(4)
    layer = StateSpaceScan(channels, **{"states": 2, "expansion": 1.5, **options}).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return layer


ORDERS = {
    "cross": ("rows", "columns", "rows back", "columns back"),
    "rows": ("rows",) * 4,
    "rows_both_ways": ("rows", "rows", "rows back", "rows back"),
}


def scanned(layer, seen, route):
    """What all directions read (b, e, h, w), pixel after pixel."""
    scan, (b, e, height, width) = layer.scan, seen.shape
    select, steps = scan.select.weight.view(4, -1, e), scan.steps.weight.view(4, e, -1)
    bias, rates = scan.steps.bias.view(4, e), -scan.rates.exp().view(4, e, -1)
    y = layer.skips.view(4, 1, e, 1, 1).sum(0) * seen
    for k, order in enumerate(ORDERS[route]):
        places = [(i, j) for i in range(height) for j in range(width)]
        if "columns" in order:
            places = [(i, j) for j in range(width) for i in range(height)]
        state = torch.zeros(b, e, rates.shape[2]).double()
        for i, j in reversed(places) if "back" in order else places:
            u = seen[:, :, i, j]
            rank, write, read = torch.split(u @ select[k].T, scan.widths, dim=1)
            step = F.softplus(rank @ steps[k].T + bias[k])[:, :, None]
            state = (step * rates[k]).exp() * state + step * write[:, None] * u[:, :, None]
            y[:, :, i, j] += (state * read[:, None]).sum(2)
    return y


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (5, 1)], ids=str)
@pytest.mark.parametrize("route", ORDERS)
def test_every_route_is_the_recurrence_pixel_after_pixel(route, size):
    layer, x = random(route=route), torch.randn(2, 6, *size).double()
    seen, gate = tokens(layer, x)
    y = layer.norm(scanned(layer, seen, route).permute(0, 2, 3, 1)) * gate.permute(0, 2, 3, 1)
    wanted = torch.einsum("oe,bhwe->bohw", layer.project.weight, y)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-11, atol=1e-11)
    at = (size[0] - 1, size[1] // 2)
    found = reconstruct(layer, x, at)
    torch.testing.assert_close(found, wanted[:, :, at[0], at[1]], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("norm", ["none", "convolution", "layer_convolution", "softmax", "sigmoid"])
@pytest.mark.parametrize("gate", ["silu", "linear"])
def test_every_norm_and_gate_is_what_the_docstring_says(norm, gate):
    layer = random(norm=norm, gate=gate, output_activation=gate == "linear")
    x = torch.randn(2, 6, 3, 4).double()
    seen, z = tokens(layer, x)
    y = scanned(layer, seen, "cross")
    if norm == "layer_convolution":
        y = layer.norm(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    if norm.endswith("convolution"):
        y = F.conv2d(y, layer.mix.weight, padding=1, groups=y.shape[1])
    y = y.flatten(2).softmax(2).view(y.shape) if norm == "softmax" else y
    y = y.sigmoid() if norm == "sigmoid" else y
    if gate == "linear":
        y, z = F.gelu(y), torch.einsum("oc,bchw->bohw", layer.expand.weight, x).chunk(2, 1)[1]
    wanted = torch.einsum("oe,behw->bohw", layer.project.weight, y * z)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("route", "reached"), [("rows", 8), ("rows_both_ways", 20), ("cross", 20)])
def test_which_pixels_are_heard_of(route, reached):
    """By rows alone those before it; a kernel of one pixel brings no neighbours."""
    layer, x = random(route=route, kernel_size=1), torch.randn(1, 6, 4, 5).double()
    (gradient,) = torch.autograd.grad(layer(x.requires_grad_())[0, :, 1, 2].sum(), x)
    assert (gradient.abs().sum(1) > 0).sum() == reached


def test_heads_are_joined_by_direction():
    layer, x = random(), torch.randn(1, 6, 3, 4).double()
    heads = layer.maps(x, (1, 2)).spatial[0]
    joined = layer.joined_heads(heads, x, (1, 2))
    assert joined.shape == (len(layer.map_heads.names), 3, 4)
    torch.testing.assert_close(joined[1], heads[9:18].abs().mean(0))
    assert (joined[0].flatten()[7:] == 0).all(), "by rows nothing after the pixel is seen"


def test_steps_and_rates_start_as_the_authors_have_them():
    scan = StateSpaceScan(32, states=3).scan
    step = F.softplus(scan.steps.bias)
    assert 1e-3 < step.min() < 2e-3 < 5e-2 < step.max() < 1e-1
    torch.testing.assert_close(scan.rates.exp(), torch.tensor([1.0, 2, 3]).expand(256, 3))


def test_checkpoints_with_an_axis_of_directions():
    layer, other = random(), random(4 + 2).float()
    state = {
        "in_proj.weight": layer.expand.weight,
        "conv2d.weight": layer.convolve.weight,
        "conv2d.bias": layer.convolve.bias,
        "x_proj_weight": layer.scan.select.weight.view(4, 5, 9),
        "dt_projs_weight": layer.scan.steps.weight.view(4, 9, 1),
        "dt_projs_bias": layer.scan.steps.bias.view(4, 9),
        "A_logs": layer.scan.rates.view(4, 9, 2),
        "Ds": layer.skips.view(4, 9),
        "out_norm.weight": layer.norm.weight,
        "out_norm.bias": layer.norm.bias,
        "out_proj.weight": layer.project.weight,
    }
    other.load_reference(state)
    x = torch.randn(1, 6, 3, 4)
    torch.testing.assert_close(other.double()(x.double()), layer(x.double()), rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="wrong shape: Ds"):
        other.load_reference(state | {"Ds": torch.zeros(35)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 0}, "states=0: must be at least 1"),
        ({"step_rank": 0}, "step_rank=0: must be at least 1"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"kernel_size": 4}, "kernel_size=4: must be odd; use 5"),
        ({"expansion": 0.1}, "expansion=0.1: leaves no inner channel of 6; raise expansion"),
        ({"route": "row"}, "route='row': must be one of .*; did you mean 'rows'"),
        ({"gate": "sigmoid"}, "gate='sigmoid': must be one of"),
        ({"norm": "batch"}, "norm='batch': must be one of"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        StateSpaceScan(6, **options)


def test_what_is_read_does_not_leave_the_range_of_half_types_before_the_norm():
    layer = StateSpaceScan(16).eval()
    x = 200 * torch.randn(2, 16, 9, 11)
    with torch.autocast("cpu", dtype=torch.float16):
        y = layer(x)
    torch.testing.assert_close(y, layer(x), rtol=0, atol=0.01 * layer(x).abs().max().item())
