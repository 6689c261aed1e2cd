"""`pixelwise demo`: what it leaves, for each task that has something to show."""

import dataclasses
import json
import re

import pytest

from pixelwise.cli.main import main
from pixelwise.tasks.registry import OWN, task_class

SHOWN = [name for name in OWN if task_class(name).demonstration is not None]
SAID = {"multiclass": "boat", "keypoints": "left hand", "regression": "RMSE, m"}


def demo(tmp_path, monkeypatch, name, *words):
    shown = task_class(name).demonstration
    few = dataclasses.replace(shown, pictures={"train": 16, "val": 4, "test": 8})
    monkeypatch.setattr(task_class(name), "demonstration", few)
    line = ["demo", "--task", name, "--steps", "3", "--runs", str(tmp_path), "--device", "cpu"]
    assert main([*line, *words]) == 0
    return tmp_path / "demo" / "1", few


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_demo(tmp_path, capsys, monkeypatch, name):
    folder, shown = demo(tmp_path, monkeypatch, name)
    text = capsys.readouterr().out
    assert str(folder / "report.html") in text
    assert SAID[name] in text
    for file in ("metrics.json", "model.safetensors", "config.json", "config.yaml"):
        assert (folder / file).is_file()
    numbers = json.loads((folder / "metrics.json").read_text())
    assert list(numbers["test"]) == ["with psa_s", "without attention"]
    seen = len(list((folder / f"{shown.noun}s").glob("*.png")))
    files = task_class(name)(numbers_of(folder)).file_names("x")
    assert seen == 6
    assert len([*(folder / "predictions").glob(f"{shown.noun}_?*")]) == 6 * len(files)
    page = (folder / "report.html").read_text()
    assert len(re.findall("<section", page)) == 7
    assert shown.title in page
    assert main(["predict", str(folder), str(folder / f"{shown.noun}s"), "--quiet"]) == 0


def numbers_of(folder):
    from pixelwise.networks.config import ModelConfig

    return ModelConfig.load(folder / "config.json")


def test_a_task_without_a_demonstration_is_refused_before_anything_is_written(tmp_path, capsys):
    assert main(["demo", "--task", "binary", "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "task='binary': has no data set without files to show; take one of multiclass" in said
    assert not any(tmp_path.iterdir())


def test_a_demonstration_needs_a_layer(tmp_path, capsys):
    assert main(["demo", "--attention", "none", "--runs", str(tmp_path)]) == 2
    assert "attention='none': the other network has none; name a layer" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_demonstration_names_is_there(name):
    from pixelwise.data.opening import open_data

    shown = task_class(name).demonstration
    source = open_data(f"{shown.data}:size={shown.size}")
    assert source.kind == task_class(name).data
    assert {"train", "val", "test"} == set(shown.pictures)
    assert set(shown.marked) <= set(source.classes.names)
    assert shown.evidence is None or shown.evidence in shown.marked
    assert re.search("7.0", shown.helped.format(gain=7.0, loss=-7.0))
    assert re.search("7.0", shown.not_helped.format(gain=-7.0, loss=7.0))
