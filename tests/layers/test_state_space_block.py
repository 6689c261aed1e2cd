import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.shared.state_space_block import StateSpaceBlock
from pixelwise.layers.state_space_scan import StateSpaceScan


def built(*, scan=True, **options):
    torch.manual_seed(1)
    inner = StateSpaceScan(6, states=2, expansion=1.0) if scan else None
    block = StateSpaceBlock(6, inner, **{"mlp_ratio": 1.5, **options}).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def normed(norm, x):
    return norm(x.movedim(1, 3)).movedim(3, 1)


def mlp(block, x):
    hidden = F.gelu(block.widen(x.movedim(1, 3)))
    return block.narrow(hidden).movedim(3, 1)


@pytest.mark.parametrize("post_norm", [False, True])
def test_both_orders_of_norms(post_norm):
    block, x = built(post_norm=post_norm), torch.randn(2, 6, 3, 4).double()
    if post_norm:
        y = x + normed(block.scan_norm, block.scan(x))
        wanted = y + normed(block.mlp_norm, mlp(block, y))
    else:
        y = x + block.scan(normed(block.scan_norm, x))
        wanted = y + mlp(block, normed(block.mlp_norm, y))
    torch.testing.assert_close(block(x), wanted)


def test_either_half_can_be_left_out():
    x = torch.randn(1, 6, 3, 4).double()
    block = built(mlp_ratio=0)
    torch.testing.assert_close(block(x), x + block.scan(normed(block.scan_norm, x)))
    block = built(scan=False)
    torch.testing.assert_close(block(x), x + mlp(block, normed(block.mlp_norm, x)))
    assert torch.equal(built(scan=False, mlp_ratio=0)(x), x)


@pytest.mark.parametrize(
    ("channels", "mlp_ratio", "message"),
    [
        (0, 4.0, "channels=0: must be at least 1"),
        (8, 4.0, "scan=6 channels: must have those of the block, 8; make it with channels=8"),
        (6, 0.1, "mlp_ratio=0.1: leaves no hidden channel of 6; raise mlp_ratio"),
        (6, -1.0, "mlp_ratio=-1.0: leaves no hidden channel of 6"),
    ],
)
def test_bad_options(channels, mlp_ratio, message):
    with pytest.raises(InputError, match=message):
        StateSpaceBlock(channels, StateSpaceScan(6), mlp_ratio=mlp_ratio)
