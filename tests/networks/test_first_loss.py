"""Where training begins: near ln k, as for a network that says nothing yet."""

import math

import pytest
import torch
import torch.nn.functional as F

from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available


@pytest.mark.parametrize("classes", [2, 21])
@pytest.mark.parametrize("name", available())
def test_every_head_begins_near_ln_k(name, classes):
    torch.manual_seed(0)
    own = available()[name].backbone != "resnet50"
    model = create_model(name, None if own else "resnet18", num_classes=classes).train()
    mask = torch.randint(classes, (2, 128, 128))
    with torch.no_grad():
        outputs = model.with_auxiliary(torch.randn(2, 3, 128, 128))
    for logits in (outputs.logits, *outputs.auxiliary.values()):
        assert F.cross_entropy(logits, mask) < 1.3 * math.log(classes)
