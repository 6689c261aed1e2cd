"""Saved networks come back equal, and broken files are named."""

import json

import numpy as np
import pytest
import torch

from pixelwise import insert
from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import Segmenter, load


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model(
        "danet",
        "test_resnet",
        num_classes=3,
        in_channels=2,
        attention={3: {"name": "gc", "reduction": 8}},
        names=("a", "b", "c"),
        palette=((0, 0, 0), (1, 2, 3), (4, 5, 6)),
        mean=(0.1, 0.2),
        std=(0.3, 0.4),
        scale=65535.0,
        bands=(3, 0),
    ).eval()


def test_round_trip(model, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved")
    image = torch.randn(1, 2, 50, 41)
    assert again.config == model.config
    assert not again.training
    assert torch.equal(again(image), model(image))
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_plans_are_saved_as_text_and_read_as_older_versions_wrote_them(model, tmp_path):
    model.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    found = json.loads(file.read_text())
    assert found["attention"] == "gc(reduction=8)@stage3"
    assert found["convolution"] == "none"
    for older in ({"stage3": ["gc", {"reduction": 8}]}, {"3": ["gc", {"reduction": 8}]}):
        file.write_text(json.dumps(found | {"attention": older, "convolution": {}}))
        assert load(tmp_path).config == model.config


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path):
    model = create_model(
        "upernet",
        "test_resnet",
        num_classes=3,
        width=np.int64(8),
        pool_scales=np.array([2, 3]),
        attention={4: {"name": "se", "reduction": np.int64(4)}},
        upsampler="dysample",
    )
    model.save_pretrained(tmp_path)
    assert load(tmp_path).config == model.config
    assert model.config.options["pool_scales"] == (2, 3)


def test_loading_never_asks_the_network(model, tmp_path, monkeypatch):
    model.save_pretrained(tmp_path)

    def refuse(*_, **__):
        raise AssertionError("a network call")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert isinstance(Segmenter.from_pretrained(tmp_path), Segmenter)


def test_truncated_weights(model, tmp_path):
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be read"):
        load(tmp_path)


def test_weights_of_another_network(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"backbone": "test_resnet2"}))
    with pytest.raises(InputError, match=r"config\.json: .*test_resnet2"):
        load(tmp_path)
    changed = {"num_classes": 4, "names": [], "palette": []}
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    with pytest.raises(
        InputError,
        match=r"does not fit .*: 6 tensors of another shape: \S+ \(3,\) for \(4,\), .* and 3 more",
    ):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"arch": "fcn"}'])
def test_broken_description(model, tmp_path, text):
    model.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        load(tmp_path)


def test_missing_folder_and_missing_files(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no config\.json in it"):
        load(tmp_path)


def test_unwritable_folder(model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot save the model there"):
        model.save_pretrained(tmp_path / "file")


def test_insertions_are_saved_with_the_network(model, tmp_path):
    report = insert(model, {"backbone.body.layer4": "psa_s"}, prove=False)
    with torch.no_grad():
        report.attached()[0].gain.fill_(0.5)
    image = torch.randn(1, 2, 32, 48)
    model.save_pretrained(tmp_path)
    again = Segmenter.from_pretrained(tmp_path)
    assert torch.equal(again(image), model.eval()(image))
    report.remove()
    assert not torch.equal(again(image), model(image))
    model.save_pretrained(tmp_path)
    assert Segmenter.from_pretrained(tmp_path).config.insert == ()
