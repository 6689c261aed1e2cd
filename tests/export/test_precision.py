"""Exported files in float16 and int8."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pointwise import Pointwise, onnx_file

from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.evaluating.precision import lower, timed
from pixelwise.export.exported import open_exported
from pixelwise.export.quantizing import KEY, halve, quantize

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class Silent:
    def __init__(self):
        self.said = []

    def say(self, line):
        self.said.append(line)

    warn = say

    def busy(self, what, done, total):
        pass


@pytest.fixture
def data(tmp_path):
    """Pictures whose brightest band is the class, as a folder."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 3)):
        for kind in ("images", "masks"):
            (tmp_path / "data" / split / kind).mkdir(parents=True)
        for number in range(count):
            values = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            folder = tmp_path / "data" / split
            Image.fromarray(values).save(folder / "images" / f"{number}.png")
            Image.fromarray(values.argmax(2).astype(np.uint8)).save(
                folder / "masks" / f"{number}.png"
            )
    file = tmp_path / "data" / "data.yaml"
    file.write_text(
        "train: train/images\nval: val/images\nnames: {0: red, 1: green, 2: blue}\n", "utf-8"
    )
    return file


def brightest():
    model = Pointwise(num_classes=3, names=("red", "green", "blue"))
    model.layer.weight.copy_(torch.eye(3)[..., None, None])
    model.layer.bias.zero_()
    return model


def test_half_and_int8_stay_near(tmp_path):
    model = Pointwise()
    path = onnx_file(tmp_path / "网 络.onnx", model)
    image = torch.randn(2, 3, 20, 30)
    halve(path, tmp_path / "half.onnx")
    quantize(path, tmp_path / "int8.onnx", iter([image]))
    spread = float(model(image).max() - model(image).min())
    for name, most in (("half", 2e-3), ("int8", 2e-2)):
        found = open_exported(tmp_path / f"{name}.onnx")
        assert found.config == model.config
        off = float((found(image) - model(image)).abs().max())
        assert 0 < off < most * spread
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "half.onnx",
        "int8.onnx",
        "网 络.onnx",
    ]


@pytest.mark.parametrize("size", [{}, {"height": 32, "width": 16}])
def test_scores_times_and_sizes_are_measured_and_kept(size, data, tmp_path):
    import onnxruntime

    path, voice = onnx_file(tmp_path / "network.onnx", brightest(), **size), Silent()
    found = lower(path, "int8", str(data), voice)
    assert found.after.path == tmp_path / "network_int8.onnx"
    assert "5 pictures for training" in voice.said[0]
    assert found.before.result.best == 1
    assert 0.8 < found.after.result.best <= 1
    assert found.loss == pytest.approx(1 - found.after.result.best)
    assert str(found).count("\n") == 2
    session = onnxruntime.InferenceSession(str(found.after.path))
    told = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    assert (told["precision"], told["calibration_pictures"]) == ("int8", 5)
    assert told["after"]["scores"]["miou"] == found.after.result.best


def test_half_needs_no_data(tmp_path):
    path = onnx_file(tmp_path / "network.onnx", brightest())
    found = lower(path, "half", None, Silent())
    assert (found.ratio, found.loss) == (None, 0.0)
    assert found.after.path.is_file()


def test_files_of_others_stay(data, tmp_path):
    path = onnx_file(tmp_path / "network.onnx", brightest())
    (tmp_path / "network_half.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match="no file that pixelwise exported"):
        lower(path, "half", None, Silent())
    assert (tmp_path / "network_half.onnx").read_bytes() == b"mine"


def test_data_of_other_classes(data, tmp_path):
    path = onnx_file(tmp_path / "network.onnx", Pointwise())
    with pytest.raises(InputError, match="predicts 4 classes, but"):
        lower(path, "int8", str(data), Silent())
    assert [file.name for file in tmp_path.glob("*.onnx")] == ["network.onnx"]


def test_both_are_timed_in_turn():
    calls = []

    def model(name):
        found = Pointwise()
        found.register_forward_hook(lambda *_: calls.append(name))
        return found

    timed(model("a"), model("b"), [torch.zeros(3, 8, 8)] * 2)
    assert calls[:6] == ["a", "b", "a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--half", "--quantize", "int8"], "one precision"),
        (["--quantize", "int4"], "quantize='int4'"),
        (["--half", "--format", "torch-export"], "is for ONNX files"),
        (["--data", "scenes"], "is for --half and --quantize"),
    ],
)
def test_options_that_do_not_go_together(words, message, tmp_path, capsys):
    assert main(["export", str(tmp_path), *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
