import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.deformable_attention import DeformableAttention
from pixelwise.ops.running import blocks

PER_PIXEL = {"dat"}
SIDES = (128, 256)
OPTIONS = {"dat": {"kernel_size": 3, "stride": 1, "size": (5, 4)}}
VARIANTS = {
    "dat": [
        {"size": (5, 4)},
        {"position": "network", "groups": 4, "stride": 1, "kernel_size": 3, "reach": -1},
        {"position": "convolution", "stride": 4, "kernel_size": 4, "groups": 1},
        {"position": "none", "moved": False, "stride": 3, "heads": 2},
        {"position": "table", "moved": False, "kernel_size": 2, "size": 3},
    ]
}


def reconstruct(layer, x, at):
    """Samples of each group are read at its own places, and each head reads all of them."""
    groups, heads = layer.places.groups, layer.heads
    weights = layer.maps(x, at).spatial.unflatten(1, (heads, groups))
    read = torch.einsum("bmgij,bgcij->bmgc", weights, x.unflatten(1, (groups, -1))).flatten(2)
    value = layer.value.weight.flatten(1).unflatten(0, (heads, -1))
    seen = torch.einsum("mdc,bmc->bmd", value, read).flatten(1) + layer.value.bias
    if layer.weighed == "convolution":
        seen = seen + layer.position(layer.query(x))[:, :, at[0], at[1]]
    return layer.expand(seen[..., None, None])[..., 0, 0]


def random(channels=8, **options):
    torch.manual_seed(0)
    options = {"kernel_size": 3, "size": (5, 4), **options}
    layer = DeformableAttention(channels, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


EVERY = [
    {},
    {"position": "fixed", "size": (7, 6)},
    {"position": "network", "groups": 4, "reach": -1},
    {"position": "convolution", "stride": 2, "kernel_size": 2},
    {"position": "none", "moved": False},
]


def as_published(layer, x):
    """The equations with torch's own sampling of grids, all biases at once."""
    b, groups, heads = len(x), layer.places.groups, layer.heads
    query = layer.query(x)
    places = layer.places(query)
    flipped = places.flip(-1).flatten(0, 1)  # torch's grids have (column, row)
    parts = x.unflatten(1, (groups, -1)).flatten(0, 1)
    samples = F.grid_sample(parts, flipped, align_corners=True).unflatten(0, (b, -1)).flatten(1, 2)
    if not layer.places.moved:
        samples = F.avg_pool2d(x, layer.places.stride, ceil_mode=True, count_include_pad=False)
    q, k, v = (
        z.flatten(2).unflatten(1, (heads, -1))
        for z in (query, layer.keys(samples), layer.value(samples))
    )
    score = torch.einsum("bmdn,bmdk->bmnk", q, k) * q.shape[2] ** -0.5
    lines = [torch.linspace(-1, 1, n).double() for n in x.shape[2:]]
    own = torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1).flatten(0, 1)
    way = own[:, None] - places.flatten(2, 3)[:, :, None]  # (b, g, n, k, 2)
    if layer.weighed == "table":
        table = layer.position.unflatten(0, (groups, -1)).repeat(b, 1, 1, 1)
        found = F.grid_sample(table, way.flip(-1).flatten(0, 1) / 2, align_corners=True)
        score = score + found.view(score.shape)
    elif layer.weighed == "fixed":
        score = score + layer.position
    elif layer.weighed == "network":
        found = layer.position(way.sign() * torch.log2(4 * way.abs() + 1) / 3)
        score = score + found.movedim(4, 2).flatten(1, 2)
    seen = torch.einsum("bmnk,bmdk->bmdn", score.softmax(-1), v).reshape(x.shape)
    return layer.expand(seen + layer.position(query) if layer.weighed == "convolution" else seen)


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_is_what_the_equations_say(options):
    layer, x = random(**options), torch.randn(2, 8, 7, 6).double()
    wanted = as_published(layer, x)
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(reconstruct(layer, x, (2, 5)), wanted[:, :, 2, 5])


@pytest.mark.parametrize("options", [EVERY[1]], ids=str)
def test_fixed_positions_have_forms_that_agree_and_one_size(options, monkeypatch):
    layer, x = random(**options), torch.randn(2, 8, 7, 6).double().requires_grad_()
    given = [x, *(p for name, p in layer.named_parameters() if name != "keys.bias")]
    wanted = torch.autograd.grad(layer.plain(x).square().sum(), given)
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1)  # a query at a time
    found = torch.autograd.grad(layer(x).square().sum(), given)
    torch.testing.assert_close(found, wanted)
    with pytest.raises(InputError, match=r"must have the size \(7, 6\) .*; make it with size="):
        layer(torch.zeros(1, 8, 6, 6).double())


@pytest.mark.slow
def test_a_stride_exports_where_the_grid_has_two_rows_and_columns():
    layer = random(stride=2).eval()
    free = ({2: torch.export.Dim("h", min=3), 3: torch.export.Dim("w", min=3)},)
    program = torch.export.export(layer, (torch.randn(2, 8, 8, 9).double(),), dynamic_shapes=free)
    for size in [(8, 9), (5, 33), (3, 4)]:
        x = torch.randn(2, 8, *size).double()
        torch.testing.assert_close(program.module()(x), layer(x))


def test_places_run_past_the_last_pixel_and_one_alone_lies_in_the_middle():
    layer = random(stride=2)
    still = layer.places.by_themselves(torch.zeros(1, 8, 8, 2), torch.float64)
    torch.testing.assert_close(
        still[:, 0, 0], torch.tensor([-2 / 3, 0, 2 / 3, 4 / 3], dtype=torch.float64)
    )
    assert (still[..., 1] == 0).all()


@pytest.mark.parametrize("reach", [2, 0, -1])
def test_reach_bounds_how_far_samples_move(reach):
    layer, x = random(reach=reach), 9 * torch.randn(1, 8, 9, 9).double()
    places = layer.places(layer.query(x))
    moved = (places - layer.places.by_themselves(x, x.dtype)).abs()
    if reach < 0:
        assert places.abs().max() == 1
    else:
        assert moved.max() <= reach / (places.shape[2] - 1) + 1e-12
        assert (moved.max() > 0) == (reach > 0)


def test_weights_of_what_is_not_used_are_passed_over():
    layer = random(position="network", moved=False)
    state = {"conv_offset.0.weight": torch.ones(3), "rpe_table.2.bias": torch.ones(4)}
    names = {"query": "proj_q", "keys": "proj_k", "value": "proj_v", "expand": "proj_out"}
    for name, value in layer.state_dict().items():
        part, _, rest = name.partition(".")
        state[f"{names.get(part, 'rpe_table')}.{rest}"] = value + 1
    layer.load_reference(state)
    assert torch.equal(layer.query.weight.double(), state["proj_q.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3, "groups": 1}, "heads=3: must divide 8 channels"),
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"groups": 3}, "groups=3: must divide heads=4"),
        ({"groups": 0}, "groups=0: must be at least 1"),
        ({"stride": 0}, "stride=0: must be at least 1"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"kernel_size": 4}, "kernel_size=4: must be odd, or stride=2; use 5"),
        ({"position": "log"}, "position='log': must be one of 'table', 'fixed', 'network'"),
        ({"size": 0}, "size=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        DeformableAttention(8, **options)
