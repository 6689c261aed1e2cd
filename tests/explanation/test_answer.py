from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.explanation.answer import Answer, class_name, logits_of


def test_logits_of_another_resolution_are_those_of_the_bilinear_resize():
    logits = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    whole = nn.functional.interpolate(logits, (16, 24), mode="bilinear")
    for at in [(0, 0), (15, 23), (7, 9), (3, 20)]:
        found = Answer(nn.Identity(), at, (16, 24)).logits(logits)
        torch.testing.assert_close(found, whole[:, :, at[0], at[1]])


def test_one_logit_is_two_classes_with_the_same_probability():
    logits = torch.tensor([2.0, -3.0])
    found = Answer(nn.Flatten(), (0, 0), (4, 4)).probabilities(logits.view(2, 1, 1, 1))
    torch.testing.assert_close(found[:, 1], logits.sigmoid())


@pytest.mark.parametrize("output", [[], {"boxes": 1}, None, (3,), torch.zeros(1, 2, 3)])
def test_outputs_without_logits_are_refused(output):
    with pytest.raises(InputError, match="must be logits"):
        logits_of(output)


def test_names_of_classes():
    model = nn.Identity()
    assert class_name(model, 3) == "class 3"
    model.config = SimpleNamespace(id2label={3: "tree"})
    assert class_name(model, 3) == "tree"
    assert class_name(model, 4) == "class 4"
