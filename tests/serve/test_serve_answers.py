"""What the server says of pictures and pixels is what the library says elsewhere."""

import numpy as np
import pytest
import torch
from PIL import Image
from serve_client import made

from pixelwise.explanation.explain import explain
from pixelwise.predict.images import network_input, predict_answer, read_picture
from pixelwise.serve.reach import radii


def test_a_picture_of_the_list_is_answered_as_predict_answers(serving, network, pictures):
    client = serving([network], pictures)
    assert client.get("/api/pictures").json() == [
        {"index": 0, "name": "a.png"},
        {"index": 1, "name": "街 景.png"},
    ]
    opened = client.open_listed(1)
    assert (opened["height"], opened["width"], opened["name"]) == (40, 56, "街 景.png")
    image, _ = read_picture(pictures[1], network)
    mask = predict_answer(network, image)
    assert np.array_equal(opened["answers"][0]["mask"].reshape(40, 56), mask.numpy())


def test_a_pixel_is_answered_as_explain_answers(serving, network, pictures):
    client = serving([network], pictures)
    opened = client.open_listed(0)
    pixel = client.pixel(opened, 12, 31)
    image, _ = read_picture(pictures[0], network)
    found = explain(network, network_input(network, image[None]), (12, 31), deletion=False)
    assert pixel["classIndex"] == found.class_index
    assert pixel["probabilities"][found.class_index] == pytest.approx(found.probability, rel=1e-5)
    assert sum(pixel["probabilities"]) == pytest.approx(1)
    assert [one["name"] for one in pixel["layers"]] == [one.name for one in found.maps]
    for told, one in zip(pixel["layers"], found.maps, strict=True):
        assert (told["key"], told["kind"], tuple(told["at"])) == (one.key, one.kind, one.at)
        assert (told["height"], told["width"]) == one.size
        if one.spatial is not None:
            weights = told["map"].reshape(one.size)
            assert np.allclose(weights, one.spatial.numpy(), atol=1e-6)
        assert told["note"] is None
    position, channel = pixel["layers"]
    assert position["map"].sum() == pytest.approx(1, rel=1e-4)
    assert 0 < position["radius50"] < position["radius90"]
    assert channel["map"] is None
    assert channel["radius50"] is None


def test_radii_by_hand():
    weights = np.array([[4.0, 0.0, 0.0, 4.0, 2.0]])
    half, most = radii(weights, (0, 0), (1.0, 5.0))
    assert (half, most) == (3.0, 4.0)
    assert radii(np.zeros((3, 3)), (0, 0), (3.0, 3.0)) == (None, None)
    assert radii(np.array([[-1.0]]), (0, 2), (1.0, 1.0)) == (2.0, 2.0)


def test_class_maps_are_the_probabilities(serving, network, pictures):
    client = serving([network], pictures)
    opened = client.open_listed(0)
    each = [client.frame(client.get(f"/api/picture/{opened['id']}/class?k={k}")) for k in range(3)]
    shares = np.stack([one["map"].reshape(40, 56) for one in each]).astype(float) / 255
    assert np.allclose(shares.sum(0), 1, atol=0.007)
    pixel = client.pixel(opened, 3, 4)
    assert np.allclose(shares[:, 3, 4], pixel["probabilities"], atol=0.003)


def test_two_runs_are_answered_apart(serving, network, pictures):
    other = made(seed=1)
    client = serving([network, other], pictures)
    opened = client.open_listed(0)
    image, _ = read_picture(pictures[0], network)
    for answer, model in zip(opened["answers"], (network, other), strict=True):
        expected = predict_answer(model, image).numpy()
        assert np.array_equal(answer["mask"].reshape(40, 56), expected)
    first, second = (client.pixel(opened, 5, 5, run) for run in (0, 1))
    assert first["probabilities"] != second["probabilities"]


def test_pixels_without_data_have_no_class(serving, network, tmp_path):
    values = np.full((20, 30, 4), 200, np.uint8)
    values[:5, :, 3] = 0
    Image.fromarray(values, "RGBA").save(tmp_path / "clear.png")
    client = serving([network], [tmp_path / "clear.png"], as_is=True)
    opened = client.open_listed(0)
    mask = opened["answers"][0]["mask"].reshape(20, 30)
    assert (mask[:5] == 255).all()
    assert (mask[5:] < 3).all()
    assert "150 of 600 pixels have no data" in opened["notes"][0]
    assert client.pixel(opened, 0, 0)["probabilities"] == []
    assert client.pixel(opened, 0, 0)["classIndex"] is None
    assert len(client.pixel(opened, 9, 0)["probabilities"]) == 3


@pytest.mark.parametrize("task", ["binary", "multilabel", "regression"])
def test_other_tasks(serving, pictures, task):
    names = ("no", "yes") if task == "binary" else ("one", "two")
    model = made("fcn", names, task=task)
    client = serving([model], pictures)
    told = client.get("/api/describe").json()
    assert told["task"] == task
    assert [one["name"] for one in told["classes"]] == list(names)
    opened = client.open_listed(0)
    answer, pixel = opened["answers"][0], client.pixel(opened, 7, 8)
    image, _ = read_picture(pictures[0], model)
    expected = predict_answer(model, image)
    if task == "binary":
        assert np.array_equal(answer["mask"].reshape(40, 56), expected.numpy())
        assert sum(pixel["probabilities"]) == pytest.approx(1)
    elif task == "multilabel":
        labels = np.stack([one.reshape(40, 56) for one in answer["labels"]])
        assert np.array_equal(labels, (expected >= 0.5).numpy())
        assert pixel["probabilities"] == pytest.approx(expected[:, 7, 8].tolist(), rel=1e-5)
    else:
        values = np.stack([one.reshape(40, 56) for one in answer["values"]])
        assert np.allclose(values, expected.numpy(), atol=1e-6)
        assert pixel["values"] == pytest.approx(expected[:, 7, 8].tolist(), rel=1e-5)
        refused = client.get(f"/api/picture/{opened['id']}/class?k=0")
        assert (refused.status_code, list(refused.json())) == (400, ["error"])
    assert pixel["layers"] == []


def test_points(serving, pictures):
    model = made(
        "simple_baseline", ("nose", "tail"), task="keypoints", task_options={"size": (64, 96)}
    )
    client = serving([model], pictures)
    opened = client.open_listed(0)
    assert (opened["height"], opened["width"]) == (64, 96)
    points = opened["answers"][0]["points"]
    assert len(points) == 2
    for point in points:
        assert set(point) == {"row", "column", "confidence"}
    heat = client.frame(client.get(f"/api/picture/{opened['id']}/class?k=0"))["map"]
    assert heat.max() == 255
    assert client.pixel(opened, 63, 95)["probabilities"] == []


def test_a_network_with_attention_of_its_own(serving, pictures):
    torch.manual_seed(0)
    model = made("fcn", attention="psa_s")
    client = serving([model], pictures)
    opened = client.open_listed(0)
    first, second = client.pixel(opened, 3, 3), client.pixel(opened, 30, 50)
    assert [one["kind"] for one in first["layers"]] == ["shared"]
    assert np.array_equal(first["layers"][0]["map"], second["layers"][0]["map"])
    assert first["layers"][0]["at"] != second["layers"][0]["at"]
    assert first["layers"][0]["radius50"] is None
