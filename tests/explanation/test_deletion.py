import pytest
import torch
from torch import nn

from pixelwise.explanation.deletion import SHARES, Ranked, deletions, neighbourhood
from pixelwise.explanation.explain import explain
from pixelwise.layers.base import AttentionLayer, Maps

SIZE = (32, 32)


class Corner(AttentionLayer):
    """Every pixel gets the mean of the lower right quarter; its map may tell it or another one."""

    cost_exponent = 1.0

    def __init__(self, honest):
        super().__init__(1)
        self.honest = honest

    def plain(self, x):
        return x[:, :, 8:, 8:].mean((2, 3), keepdim=True).expand_as(x)

    def maps(self, x, at=None):
        weights = torch.zeros(1, 1, *x.shape[2:])
        quarter = weights[:, :, 8:, 8:] if self.honest else weights[:, :, :8, :8]
        quarter[:] = 1 / 64 + at[0] * 0
        return Maps(weights)


def network(honest):
    """Class 1 where the lower right quarter is brighter than the mean of the picture."""
    shrink, classes = nn.AvgPool2d(2), nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        classes.weight.copy_(torch.tensor([-2.0, 2.0]).view(2, 1, 1, 1))
        classes.bias.copy_(torch.tensor([1.0, -1.0]))
    return nn.Sequential(shrink, Corner(honest), classes)


def picture():
    image = torch.zeros(1, 1, *SIZE)
    image[:, :, 16:, 16:] = 2.0
    return image


def test_an_honest_map_beats_chance_and_a_wrong_one_loses():
    right = explain(network(True), picture(), (4, 4)).deletions[0]
    wrong = explain(network(False), picture(), (4, 4)).deletions[0]
    assert right.shares == SHARES
    assert right.name == wrong.name == "1"
    assert right.attended[0] == wrong.attended[0] == pytest.approx(1 / (1 + torch.e**-6), rel=1e-5)
    assert right.random == wrong.random
    assert len(right.random) == 3
    assert all(a >= b for a, b in zip(right.attended, right.attended[1:], strict=False))
    # Of the quarter, 0.4 are gone once a tenth of the picture is: its mean is 2 - 0.4 * 1.5.
    means = [2 - 1.5 * min(1, round(share * 1024) / 256) for share in SHARES]
    expected = [torch.tensor(4.0 * mean - 2).sigmoid().item() for mean in means]
    assert right.attended == pytest.approx(expected, rel=1e-5)
    assert wrong.attended[5] == right.attended[0]  # a fifth is gone, all of it elsewhere
    assert right.advantage > 0.1
    assert wrong.advantage < 0 < right.advantage


def counting(image):
    """Pictures that a deletion asked about."""
    seen = []

    def probability(images):
        seen.extend(images.clone())
        return torch.zeros(len(images))

    return seen, probability


def run(values, at=(20, 20), covers=(40.0, 40.0), **options):
    image = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    seen, probability = counting(image)
    found = deletions(probability, image, [Ranked("one", values, covers)], at, **options)
    gone = [(shown != image[0]).any(0) for shown in seen]
    return image, gone, seen, found


def test_what_is_deleted_is_the_heaviest_and_never_around_the_asked_pixel():
    values = torch.rand(10, 10)
    image, gone, seen, _ = run(values)
    assert [int(g.sum()) for g in gone] == [0, *[round(s * 1600) for s in SHARES[1:]] * 4]
    kept = neighbourhood(image, (20, 20))
    assert kept.sum() == 25
    assert not any((g & kept).any() for g in gone)
    shown, where = seen[-1], gone[-1]
    mean = image.mean((2, 3))[0]
    torch.testing.assert_close(shown[:, where], mean[:, None].expand(-1, int(where.sum())))
    spread = values.repeat_interleave(4, 0).repeat_interleave(4, 1)
    attended = gone[-4] & ~kept
    assert spread[attended].min() >= spread[~attended & ~kept].max()


def test_signed_weights_count_by_their_size():
    values = torch.zeros(4, 4)
    values[0, 0], values[3, 3] = -3.0, 2.0
    _, gone, _, _ = run(values)
    assert gone[-5][:10, :10].sum() == 80


def test_random_orders_depend_on_the_seed_and_the_cells_alone():
    _, first, _, _ = run(torch.rand(10, 10), seed=1)
    _, again, _, _ = run(torch.rand(10, 10), seed=1)
    _, other, _, _ = run(torch.rand(10, 10), seed=2)
    random = 1 + 3 * len(SHARES[1:])
    assert all(map(torch.equal, first[:random], again[:random]))
    assert not all(map(torch.equal, first[:random], other[:random]))
    blocks = first[7].view(10, 4, 10, 4).permute(0, 2, 1, 3).flatten(2)
    assert (blocks.all(-1) | ~blocks.any(-1)).float().mean() > 0.9  # whole cells


def test_orders_of_equal_cells_are_left_to_chance():
    values = torch.zeros(10, 10)
    values[9, 9] = 1.0
    _, gone, _, _ = run(values)
    assert gone[-2][:10].float().mean() == pytest.approx(0.4, abs=0.2)  # not from the top on


def test_a_map_that_is_the_same_everywhere_has_no_order():
    assert run(torch.full((5, 5), 0.2))[3] == ()
    assert run(torch.zeros(1, 1))[3] == ()


def test_fine_maps_are_averaged_and_those_of_one_size_share_their_random_orders():
    image = torch.randn(1, 3, 40, 40)
    seen, probability = counting(image)
    maps = [Ranked(name, torch.rand(40, 40), (40.0, 40.0)) for name in "abc"]
    found = deletions(probability, image, maps, None)
    assert [one.name for one in found] == ["a", "b", "c"]
    assert len(seen) == 1 + (3 + 3) * len(SHARES[1:])
    assert found[0].random == found[2].random


def test_a_network_without_pixels_may_lose_every_pixel():
    image = torch.randn(1, 3, 40, 40)
    assert neighbourhood(image, None).sum() == 0
    classify = nn.Sequential(*network(True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = explain(classify, picture(), (20, 20)).deletions[0]
    assert found.attended[-1] == pytest.approx(torch.tensor(4 * 0.5 - 2).sigmoid().item())
