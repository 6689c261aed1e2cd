"""Adapters take widths and blocks from the recorded weights where the options do not tell them."""

import pytest
import torch
from adapters import ADAPTERS
from torch import nn

from pixelwise.ops.space_to_depth import space_to_depth


class Rearranged(nn.Module):
    def forward(self, x):
        return space_to_depth(x, 2)


def conv_norm(into, outputs, side):
    conv = nn.Conv2d(into, outputs, side, padding=side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def shaken(module):
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return module.double().eval()


@pytest.mark.parametrize("stride", [1, 2])
def test_rearranged_blocks_of_two_convolutions(stride):
    """As mechanisms describe them: the first convolution does not stride, the norm is wider."""
    into, width = 8, 4
    inner = width * stride**2
    steps = [nn.Conv2d(into, width, 3, padding=1, bias=False)]
    steps += [Rearranged()] * (stride == 2)
    steps += [nn.BatchNorm2d(inner), nn.ReLU(), nn.Conv2d(inner, width, 3, padding=1, bias=False)]
    block = nn.Module()
    block.residual_function = nn.Sequential(*steps, nn.BatchNorm2d(width))
    shortcut = nn.Conv2d(into, width, 1, stride, bias=False)
    block.shortcut = nn.Sequential(shortcut, nn.BatchNorm2d(width))
    shaken(block)
    subject = ADAPTERS["spd_resnet_block@author"](
        {"in_channels": into, "out_channels": width, "stride": stride}
    )
    subject.load(block.state_dict())
    subject.module.double().eval()
    x = torch.randn(2, into, 8, 6, dtype=torch.float64)
    wanted = (block.residual_function(x) + block.shortcut(x)).relu()
    torch.testing.assert_close(subject.outputs([x])[0], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("widths", "beside"), [((12, 24), 16), ((16, 32), 16), ((5, 7), 16), ((12, 24), 20)]
)
def test_connections_of_any_width(widths, beside):
    """The maps before the last, and what is merged of them, have widths of their own."""
    last, width = 48, 16
    head = nn.Module()
    head.conv5 = conv_norm(last, width, 3)
    head.connect = nn.ModuleList(conv_norm(c, beside, 1) for c in widths)
    head.fusion = conv_norm(width + 2 * beside, width, 3)
    shaken(head)
    config = {"in_channels": last, "out_channels": 3, "width": width, "ncodes": 4, "lateral": True}
    subject = ADAPTERS["enc_head@author"](config)
    rest = {
        key: torch.zeros(shape, dtype=torch.int64 if key.endswith("tracked") else torch.float64)
        for key, shape in ADAPTERS["enc_head@author"](config).shapes().items()
        if key.startswith(("encmodule", "conv6"))
    }
    subject.load(head.state_dict() | rest)
    decoder = subject.module.double().eval().module
    features = [torch.randn(1, c, 6, 5, dtype=torch.float64) for c in (3, *widths, last)]
    maps = [part(x) for part, x in zip(head.connect, features[1:3], strict=True)]
    wanted = head.fusion(torch.cat([head.conv5(features[-1]), *maps], dim=1))
    torch.testing.assert_close(decoder._merged(features), wanted, rtol=0, atol=1e-12)
    assert subject.outputs(features)[0].shape == (1, 3, 6, 5)
