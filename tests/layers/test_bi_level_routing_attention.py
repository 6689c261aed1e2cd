import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.bi_level_routing_attention import BiLevelRoutingAttention

PER_PIXEL = {"biformer"}
OPTIONS = {"biformer": {"heads": 4, "regions": 3, "chosen": 2}}
VARIANTS = {
    "biformer": [
        {"heads": 2, "regions": 4, "chosen": 5, "local_kernel": 0, "scale": 0.3},
        {"heads": 2, "regions": 2, "chosen": 4, "local_kernel": 5},
    ]
}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial
    value = layer.project(x).chunk(3, dim=1)[2]
    seen = torch.einsum("bmij,bmdij->bmd", weights, value.unflatten(1, (layer.heads, -1)))
    seen = seen.flatten(1)
    if layer.local is not None:
        seen = seen + layer.local(value)[:, :, at[0], at[1]]
    return layer.expand(seen[..., None, None])[..., 0, 0]


def random(**options):
    torch.manual_seed(0)
    options = {"heads": 2, "regions": 3, "chosen": 2, **options}
    layer = BiLevelRoutingAttention(8, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize("size", [(6, 9), (8, 10), (7, 3), (2, 5), (1, 1)], ids=str)
@pytest.mark.parametrize("options", [{}, {"chosen": 9}, {"scale": 0.3, "local_kernel": 0}], ids=str)
def test_is_a_masked_attention_of_all_pixels(options, size):
    """Every pixel of the padded map as a key, and -inf for those of regions not chosen."""
    layer, x = random(**options), torch.randn(2, 8, *size).double()
    side = [max(1, n // 3) for n in size]
    padded = [-n % s for n, s in zip(size, side, strict=True)]
    query, key, value = layer.project(x).chunk(3, dim=1)
    means = [F.avg_pool2d(z, side, ceil_mode=True, count_include_pad=False) for z in (query, key)]
    likeness = torch.einsum("bcn,bcm->bnm", *(z.flatten(2) for z in means))
    best = likeness.topk(min(layer.chosen, likeness.shape[2])).indices
    allowed = torch.zeros_like(likeness, dtype=torch.bool).scatter(2, best, True)
    q, k, v = (F.pad(z, (0, padded[1], 0, padded[0])) for z in (query, key, value))
    row, column = (torch.arange(n) // s for n, s in zip(q.shape[2:], side, strict=True))
    region = (row[:, None] * means[0].shape[3] + column).flatten()
    score = torch.einsum("bmdi,bmdj->bmij", *(z.flatten(2).unflatten(1, (2, -1)) for z in (q, k)))
    score = (score * layer.scale).masked_fill(~allowed[:, region][:, :, region][:, None], -1e300)
    seen = torch.einsum("bmij,bmdj->bmdi", score.softmax(-1), v.flatten(2).unflatten(1, (2, -1)))
    seen = seen.flatten(1, 2).view(q.shape)[:, :, : size[0], : size[1]]
    seen = seen if layer.local is None else seen + layer.local(value)
    torch.testing.assert_close(layer(x), layer.expand(seen))


def test_all_heads_have_the_scale_of_the_whole_width():
    assert BiLevelRoutingAttention(16, heads=4).scale == 16**-0.5


def test_a_pixel_sees_the_chosen_regions_alone():
    layer, x = random(), torch.randn(1, 8, 6, 6).double()
    weights = layer.maps(x, (1, 4)).spatial[0]
    cells = (weights > 0).view(2, 3, 2, 3, 2).float().mean((2, 4))
    assert cells.sum((1, 2)).tolist() == [2, 2]
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(2).double())


def test_padding_takes_its_share():
    layer, x = random(chosen=9), torch.randn(1, 8, 7, 9).double()  # regions of 2x3, one row more
    shares = torch.stack([layer.maps(x, (row, 0)).spatial.sum((2, 3)) for row in (0, 2, 4, 6)])
    assert (shares < 1 + 1e-9).all()
    assert (shares < 0.99).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "heads=3: must divide 8 channels"),
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"regions": 0}, "regions=0: must be at least 1"),
        ({"chosen": 0}, "chosen=0: must be at least 1"),
        ({"regions": 2, "chosen": 5}, "chosen=5: there are 4 regions to choose from"),
        ({"local_kernel": 2}, "local_kernel=2: must be odd, or 0 for none; use 3"),
        ({"local_kernel": -1}, "local_kernel=-1: must be at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        BiLevelRoutingAttention(8, **{"heads": 2, **options})
