"""Scores over whole pictures."""

import pytest
import torch

from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.opening import open_data
from pixelwise.metrics import Confusion
from pixelwise.networks.factory import create_model
from pixelwise.predict.evaluation import evaluate


@pytest.fixture(scope="module")
def pictures():
    split = open_data("scenes:size=64,train=1,val=3,test=1").split("val")
    return EvaluationSet(split, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), scale=255.0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("fcn", "test_resnet", num_classes=7)


def test_equals_counting_by_hand_and_changes_nothing(model, pictures):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    seen = []
    found = evaluate(
        model, pictures, window=64, on_picture=lambda i, predicted, mask: seen.append(predicted)
    )
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    expected = Confusion(7)
    model.eval()
    for index, (image, mask, _, _) in enumerate(pictures):
        with torch.no_grad():
            predicted = model(image[None]).argmax(1)[0]
        assert torch.equal(predicted, seen[index])
        expected.update(predicted, mask)
        if index == len(pictures) - 1:
            break
    assert torch.equal(found.confusion.matrix, expected.matrix)


def test_workers_change_nothing(model, pictures):
    plain = evaluate(model, pictures, window=64)
    again = evaluate(model, pictures, window=64, workers=2)
    assert torch.equal(plain.confusion.matrix, again.confusion.matrix)


def test_tiles_cover_every_pixel(model, pictures):
    tiled = evaluate(model, pictures, window=40)
    assert int(tiled.confusion.matrix.sum()) == 3 * 64 * 64
