"""PSANet: sizes as published, mmsegmentation's head, programs with free height and width."""

import pytest
import torch

from pixelwise.networks.decoders.psanet import PSANet

WIDTHS = [8, 16]
THEIRS = {"variant": "mmsegmentation", "mask_size": (5, 7)}


def decoder(**options):
    torch.manual_seed(0)
    return PSANet(WIDTHS, 3, **{"mask_size": (5, 7)} | options).eval()


def features(*size, batch=2):
    return [torch.randn(batch, c, *size) for c in WIDTHS]


def test_published_sizes():
    with torch.device("meta"):
        net = PSANet([1024, 2048], 21)
    assert sum(p.numel() for p in net.attention.parameters()) == 8_291_328
    assert sum(p.numel() for p in net.join.parameters()) == 4096 * 512 * 9 + 2 * 512
    assert net.auxiliary.layers[0].weight.shape == (256, 1024, 3, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (6, 4), (7, 5)])
@pytest.mark.parametrize("shrink", [1, 2, 3])
def test_mmsegmentation_on_any_size(size, shrink):
    logits = decoder(**THEIRS, shrink=shrink)(features(*size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


def test_how_a_map_that_is_not_shrunk_grows_back():
    net = decoder(**THEIRS, shrink=1)
    maps = features(6, 5)
    kept = net(maps)
    net.align_corners = False
    assert not torch.allclose(net(maps), kept)


@pytest.mark.slow
def test_mmsegmentation_exports_with_free_height_and_width():
    net = decoder(**THEIRS)
    free = {2: torch.export.Dim("h", min=4), 3: torch.export.Dim("w", min=4)}
    maps = features(8, 9)
    program = torch.export.export(net, (maps,), dynamic_shapes=([free, free],)).module()
    for size in [(8, 9), (7, 5), (6, 10), (11, 8)]:
        x = features(*size)
        torch.testing.assert_close(program(x), net(x), rtol=1e-4, atol=1e-5)
