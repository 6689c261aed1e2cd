import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.axial_attention import AxialAttention

OPTIONS = {"axial": {"heads": 2}}
VARIANTS = {"axial": [{"heads": 4, "sequential": True}, {"heads": 3, "head_width": 5}]}
PER_PIXEL = {"axial"}
SIDES = (2048, 4096)  # projections, which are linear, weigh little from here on


def values(part, x):
    """The values of all heads, and what the heads make of a mixture of each."""
    weight = part.keys_values.weight.chunk(2)[1]
    found = torch.einsum("oc,bcij->boij", weight, x)
    return found.unflatten(1, (part.heads, -1))


def mixed(part, weights, x):
    seen = torch.einsum("bmij,bmdij->bmd", weights, values(part, x))
    return seen.flatten(1) @ part.project.weight.T + part.project.bias


def along_columns(layer, x):
    """Column by column, head by head."""
    part, (b, _, h, w) = layer.columns, x.shape
    width = part.project.in_features // part.heads
    query = torch.einsum("oc,bcij->boij", part.query.weight, x)
    key = torch.einsum("oc,bcij->boij", part.keys_values.weight.chunk(2)[0], x)
    found = x.new_zeros(b, part.heads, width, h, w)
    for column in range(w):
        for head in range(part.heads):
            own = slice(head * width, (head + 1) * width)
            q, k = query[:, own, :, column], key[:, own, :, column]
            weights = (q.mT @ k / width**0.5).softmax(2)
            found[:, head, :, :, column] = values(part, x)[:, head, :, :, column] @ weights.mT
    seen = torch.einsum("oc,bcij->boij", part.project.weight, found.flatten(1, 2))
    return seen + part.project.bias[:, None, None]


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial
    if layer.sequential:
        return mixed(layer.rows, weights, along_columns(layer, x))
    in_column, in_row = weights.chunk(2, dim=1)
    return mixed(layer.columns, in_column, x) + mixed(layer.rows, in_row, x)


def built(channels, **options):
    torch.manual_seed(2)
    return AxialAttention(channels, **options).double()


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (4, 3)], ids=str)
def test_each_pixel_is_what_its_lines_give(sequential, size):
    layer = built(8, heads=2, head_width=3, sequential=sequential)
    x = torch.randn(2, 8, *size).double()
    y = layer(x)
    for at in [(0, 0), (size[0] - 1, size[1] // 2)]:
        found = reconstruct(layer, x, at)
        torch.testing.assert_close(found, y[:, :, at[0], at[1]], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("sequential", "reached"), [(False, 6 + 5 - 1), (True, 6 * 5)])
def test_the_sum_reaches_the_cross_and_the_sequence_the_whole_map(sequential, reached):
    layer = built(8, heads=2, sequential=sequential)
    x = torch.randn(1, 8, 6, 5).double().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0, :, 2, 3].sum(), x)
    assert (gradient.abs().sum(1) > 0).sum() == reached


def test_maps_are_distributions_on_a_column_and_a_row():
    spatial = AxialAttention(16, heads=2).maps(torch.randn(2, 16, 6, 5), at=(4, 1)).spatial
    torch.testing.assert_close(spatial.sum((2, 3)), torch.ones(2, 4))
    in_column, in_row = spatial.chunk(2, dim=1)
    assert (in_column > 0).sum() == 2 * 2 * 6
    assert (in_column[..., 1] > 0).all()
    assert (in_row > 0).sum() == 2 * 2 * 5
    assert (in_row[:, :, 4] > 0).all()


def test_turning_the_map_turns_the_result_where_the_axes_share_weights():
    layer = built(8, heads=2)
    layer.rows.load_state_dict(layer.columns.state_dict())
    x = torch.randn(1, 8, 6, 5).double()
    torch.testing.assert_close(layer(x.mT), layer(x).mT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"heads": 3}, "heads=3: must divide channels=16; choose another number, or give"),
        ({"head_width": 0}, "head_width=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        AxialAttention(16, **options)
