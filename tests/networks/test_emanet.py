"""EMANet: size as published, what learns, how the bases move."""

import pytest
import torch
from torch import nn

from pixelwise.networks.decoders.emanet import EMANet

WIDTHS = [16, 32]


def features(batch=2):
    torch.manual_seed(0)
    return [torch.randn(batch, c, 6, 5) for c in WIDTHS]


def test_published_size():
    with torch.device("meta"):
        decoder = EMANet([1024, 2048], 21)
    assert sum(p.numel() for p in decoder.parameters()) == 11_149_589


def test_the_projection_never_learns():
    decoder = EMANet(WIDTHS, 3, bases=4)
    idle = {name for name, p in decoder.named_parameters() if not p.requires_grad}
    assert idle == {"attention.project.weight", "attention.project.bias"}


def test_bases_move_in_training_alone():
    decoder = EMANet(WIDTHS, 3, bases=4)
    before = decoder.attention.bases.clone()
    decoder.eval()(features())
    assert torch.equal(decoder.attention.bases, before)
    decoder.train()(features())
    assert not torch.equal(decoder.attention.bases, before)


def test_one_momentum_for_all_norms():
    decoder = EMANet(WIDTHS, 3, norm_momentum=3e-4, auxiliary=True)
    found = {part.momentum for part in decoder.modules() if isinstance(part, nn.BatchNorm2d)}
    assert found == {3e-4}


@pytest.mark.parametrize("auxiliary", [False, True])
def test_head_of_mmsegmentation(auxiliary):
    decoder = EMANet(
        WIDTHS,
        3,
        width=6,
        attention_width=10,
        bases=4,
        variant="mmsegmentation",
        concatenate=True,
        auxiliary=auxiliary,
    ).eval()
    assert decoder.joined[0].weight.shape == (6, 38, 3, 3)
    outputs = decoder.with_auxiliary(features())
    assert outputs.logits.shape == (2, 3, 6, 5)
    assert list(outputs.auxiliary) == ["stage3"] * auxiliary
