import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.cascaded_group_attention import CascadedGroupAttention

# One window without padding where the contract reconstructs: maps say nothing of what is padded.
OPTIONS = {"cga": {"heads": 2, "key_width": 3, "window_size": (7, 5)}}
VARIANTS = {
    "cga": [
        {"heads": 4, "key_width": 2, "window_size": 4, "kernels": (7, 5, 3, 1)},
        {"heads": 1, "key_width": 5, "window_size": (1, 3), "kernels": 3},
    ]
}
PER_PIXEL = {"cga"}


def in_window(layer, x, weights=None):
    """One window, head by head; the weights of one pixel may be given, for what it sees."""
    rows, columns = x.shape[2:]
    place = [(i, j) for i in range(rows) for j in range(columns)]
    table = layer.distance.view(layer.heads, *layer.windows.size)
    seen, found, own = 0, [], []
    for head, part in enumerate(x.chunk(layer.heads, dim=1)):
        query, key, value = layer.project[head](part + seen).split(
            [layer.key_width, layer.key_width, layer.width], dim=1
        )
        query, key, value = (z.flatten(2) for z in (layer.local[head](query), key, value))
        bias = torch.stack(
            [torch.stack([table[head, abs(a - c), abs(b - d)] for c, d in place]) for a, b in place]
        )
        score = query.mT @ key / layer.key_width**0.5 + bias
        seen = (value @ score.softmax(2).mT).view(len(x), -1, rows, columns)
        found.append(seen)
        if weights is not None:
            own.append(torch.einsum("bn,bdn->bd", weights[:, head].flatten(1), value))
    joined = torch.cat(found if weights is None else own, dim=1)
    joined = joined if weights is None else joined[:, :, None, None]
    return layer.expand(joined.relu())


def reconstruct(layer, x, at):
    return in_window(layer, x, layer.maps(x, at).spatial)[:, :, 0, 0]


def built(channels, **options):
    torch.manual_seed(2)
    layer = CascadedGroupAttention(channels, **options).double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def test_windows_are_cut_from_the_padded_map():
    layer = built(8, **VARIANTS["cga"][0])
    x = torch.randn(2, 8, 7, 5).double()
    padded = F.pad(x, (0, 3, 0, 1))
    wanted = torch.cat(
        [
            torch.cat([in_window(layer, padded[:, :, i : i + 4, j : j + 4]) for j in (0, 4)], 3)
            for i in (0, 4)
        ],
        2,
    )
    torch.testing.assert_close(layer(x), wanted[:, :, :7, :5], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("at", [(0, 0), (5, 4), (2, 3)])
def test_maps_lie_in_the_window_of_the_pixel(at, training):
    layer = built(8, heads=2, window_size=3, kernels=(3, 5)).train(training)
    weights = layer.maps(torch.randn(2, 8, 6, 5).double(), at).spatial
    assert weights.shape == (2, 2, 6, 5)
    inside = torch.zeros(6, 5)
    start = [3 * (place // 3) for place in at]
    inside[start[0] : start[0] + 3, start[1] : start[1] + 3] = 1
    assert (weights[:, :, inside == 0] == 0).all()
    assert (weights[:, :, inside == 1] > 0).all()
    total = weights.sum((2, 3))
    if start[1] == 0:
        torch.testing.assert_close(total, torch.ones_like(total))
    else:  # the window reaches one column over the border
        assert (total < 1).all()


def test_a_head_is_told_by_the_one_before():
    layer = built(8, heads=2, window_size=4, kernels=1)
    x = torch.randn(1, 8, 4, 4).double()
    other = x.clone()
    other[:, :4] += 1  # the channels of the first head
    first, second = (layer.maps(z, (1, 1)).spatial[:, 1] for z in (x, other))
    assert not torch.allclose(first, second)
    other = x.clone()
    other[:, 4:] += 1
    first, second = (layer.maps(z, (1, 1)).spatial[:, 0] for z in (x, other))
    assert torch.equal(first, second)


def test_nothing_at_first():
    assert (CascadedGroupAttention(16)(torch.randn(1, 16, 9, 8)) == 0).all()


def test_distances_learn_in_evaluation_and_the_index_of_the_authors_is_passed_by():
    layer = built(8, heads=2, window_size=4)
    layer(torch.randn(1, 8, 4, 4).double()).square().sum().backward()
    assert (layer.distance.grad != 0).any()
    theirs = {"attn.attention_bias_idxs": torch.zeros(16, 16, dtype=torch.long)}
    assert layer.translated(theirs) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"heads": 3}, "heads=3: must divide 16 channels"),
        ({"key_width": 0}, "key_width=0: must be at least 1"),
        ({"kernels": 4}, "kernels=4: must be an odd number, or one for each of 4 heads"),
        ({"kernels": (3, 5)}, r"kernels=\(3, 5\): must be an odd number, or one for each of 4"),
        ({"kernels": -1}, "kernels=-1: must be an odd number"),
        ({"window_size": 0}, "window_size=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        CascadedGroupAttention(16, **options)
