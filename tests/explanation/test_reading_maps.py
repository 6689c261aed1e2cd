import pytest
import torch

from pixelwise.explanation.reading import MOST_PARTS, read
from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.layers.registry import create
from pixelwise.networks.factory import create_model


def features(channels=16, height=7, width=6):
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0))


def built(key, **options):
    torch.manual_seed(0)
    layer = create(key, 16, **options).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


@torch.no_grad()
@pytest.mark.parametrize("variant", ["code", "mmsegmentation"])
@pytest.mark.parametrize("at", [(0, 0), (3, 4), (6, 5), (2, 1)])
def test_directions_of_psanet_mix_their_corners(variant, at):
    layer = built("psanet", mask_size=(5, 5), shrink=2, variant=variant)
    x = features()
    found = read(layer, (x,), at)
    assert list(found.parts) == ["collect", "distribute"]
    torch.testing.assert_close(found.spatial, sum(found.parts.values()))
    # Of values that are all 1, a pixel gets the sum of its weights.
    for branch, part in zip(layer.branches, found.parts.values(), strict=True):
        value, guide = branch._features(x)
        given = (torch.ones_like(value), guide)
        branch._features = lambda _, given=given: given
        sums = branch.lean(x) / layer.divisor
        if layer.border:
            sums = torch.nn.functional.pad(sums, (1, 1, 1, 1))
        kept = bool(layer.shrinking.size(x.shape[2:])[1])
        sums = torch.nn.functional.interpolate(sums, (7, 6), mode="bilinear", align_corners=kept)
        torch.testing.assert_close(part.sum(), sums[0, 0, at[0], at[1]])


@torch.no_grad()
def test_parts_of_one_direction_and_of_one_head_say_nothing():
    assert read(built("psanet", directions="collect"), (features(),), (1, 1)).parts == {}
    assert read(built("pam"), (features(),), (1, 1)).parts == {}


@torch.no_grad()
def test_dnl_is_pairwise_and_unary():
    found = read(built("dnl"), (features(),), (3, 2))
    assert list(found.parts) == ["pairwise", "unary"]
    assert [part.sum().item() for part in found.parts.values()] == pytest.approx([1, 1])
    torch.testing.assert_close(found.spatial, sum(found.parts.values()))


@torch.no_grad()
def test_isa_has_a_part_for_each_cell_size():
    found = read(built("isa", down_factors=((2, 2), (4, 3))), (features(),), (3, 2))
    assert list(found.parts) == ["cells of 2x2", "cells of 4x3"]
    torch.testing.assert_close(found.spatial, sum(found.parts.values()) / 2)


@torch.no_grad()
@pytest.mark.parametrize(
    ("key", "options", "word"),
    [("ema", {"bases": 8}, "base"), ("encoding", {"codes": 8}, "codeword")],
)
def test_the_strongest_of_many_heads_are_shown(key, options, word):
    layer, x = built(key, **options), features()
    heads = layer.maps(x, at=(2, 2)).spatial[0]
    found = read(layer, (x,), (2, 2))
    wanted = heads.sum((1, 2)).argsort(descending=True)[:MOST_PARTS].tolist()
    assert list(found.parts) == [f"{word} {i}" for i in wanted]
    assert torch.equal(found.parts[f"{word} {wanted[0]}"], heads[wanted[0]])
    torch.testing.assert_close(found.spatial, heads.sum(0))


@torch.no_grad()
def test_taps_are_added_and_groups_of_channels_averaged():
    layer, x = built("deform", offset_groups=2), features()
    taps = layer.maps(x, at=(2, 2)).spatial[0]
    found = read(layer, (x,), (2, 2))
    assert list(found.parts) in (["group 0", "group 1"], ["group 1", "group 0"])
    torch.testing.assert_close(found.parts["group 1"], taps[9:].sum(0))
    torch.testing.assert_close(found.spatial, taps.sum(0) / 2)


@torch.no_grad()
def test_channels_that_weigh_channels_are_averaged_over_those_that_look():
    layer, x = built("cam"), features()
    found = read(layer, (x,), (0, 0))
    assert found.kind == "channel"
    assert found.channel.sum() == pytest.approx(1)
    torch.testing.assert_close(found.channel, layer.maps(x).channel[0].mean(0))


def test_a_layer_of_ones_own_without_a_rule():
    class Own(AttentionLayer):
        cost_exponent = 1.0

        def plain(self, x):
            return x

        def maps(self, x, at=None):
            row = at[0]
            return Maps(torch.full((1, 6, 2, 3), -1.0) * torch.arange(6.0).view(1, 6, 1, 1) * row)

    found = read(Own(2), (torch.ones(1, 2, 4, 6),), (1, 2))
    assert found.kind == "pixel"
    torch.testing.assert_close(found.spatial, torch.full((2, 3), -2.5))
    assert list(found.parts) == ["head 5", "head 4", "head 3", "head 2"]


@torch.no_grad()
def test_bins_are_spread_over_their_pixels():
    torch.manual_seed(0)
    model = create_model("ann", "test_resnet", num_classes=3, pool_scales=(1, 2)).eval()
    block, given = model.decoder.context, []
    hook = block.register_forward_pre_hook(lambda _, inputs: given.extend(inputs))
    model(torch.randn(1, 3, 40, 56))
    hook.remove()
    found = read(block, given, (2, 3))
    assert sorted(found.parts) == ["1x1 bins", "2x2 bins"]
    assert found.parts["1x1 bins"].std() == pytest.approx(0, abs=1e-6)
    assert found.spatial.sum() == pytest.approx(1)
