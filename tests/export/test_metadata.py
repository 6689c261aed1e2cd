"""What an exported file says of itself."""

import json
import zipfile

import pytest

from pixelwise.errors import InputError
from pixelwise.export.metadata import About, read, write
from pixelwise.networks.config import ModelConfig

CONFIG = ModelConfig(
    "fcn",
    "test_resnet",
    num_classes=3,
    names=("grass", "道路", "roof"),
    palette=((0, 0, 0), (1, 2, 3), (255, 255, 255)),
    attention={"stage4": ("psa_s", {})},
    bands=(2, 1, 0),
    scale=65535.0,
    nodata=(-9999.0,),
)


def onnx_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    path = tmp_path / "网络.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    return path


def program_file(tmp_path):
    path = tmp_path / "network.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("network/version", "1")
    return path


@pytest.mark.parametrize("made", [onnx_file, program_file])
def test_a_network_is_described_by_its_file(made, tmp_path):
    rows = ({"size": [64, 96], "batch": 2, "difference": 1e-7},)
    about = About(CONFIG, normalises=True, output="answer", size=(64, 96), proof=rows)
    path = made(tmp_path)
    write(path, about)
    assert read(path) == about
    assert read(path).answers


@pytest.mark.parametrize("normalises", [False, True])
def test_deepness_feeds_what_the_network_was_trained_on(normalises):
    told = About(CONFIG, normalises=normalises, output="probabilities").properties()
    told = {key: json.loads(value) for key, value in told.items()}
    assert told["class_names"] == {"0": "grass", "1": "道路", "2": "roof"}
    assert (told["model_type"], told["seg_thresh"]) == ("Segmentor", 0.0)
    raw = 1000.0
    mean, std = told["standardization_mean"][0], told["standardization_std"][0]
    wanted = raw if normalises else (raw / CONFIG.scale - CONFIG.mean[0]) / CONFIG.std[0]
    assert (raw / 255 - mean) / std == pytest.approx(wanted)


def test_logits_are_not_offered_to_deepness():
    assert "model_type" not in About(CONFIG).properties()


@pytest.mark.parametrize("made", [onnx_file, program_file])
def test_a_file_that_says_nothing(made, tmp_path):
    with pytest.raises(InputError, match="says nothing of its network; export"):
        read(made(tmp_path))


@pytest.mark.parametrize("name", ["a.onnx", "a.pt2", "a.safetensors"])
def test_a_file_that_is_something_else(name, tmp_path):
    (tmp_path / name).write_bytes(b"<html>")
    for other in (name, f"no{name}"):
        with pytest.raises(InputError, match=r"cannot be read|says nothing"):
            read(tmp_path / other)
