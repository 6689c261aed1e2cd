"""`pixelwise explain` as a user types it."""

import json

import numpy as np
import pytest
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.explanation import explain as explanation
from pixelwise.explanation.page import numbers
from pixelwise.networks.factory import create_model

NAMES = ("left/right", "up", "down")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain") / "run"
    create_model(
        "fcn", "test_resnet", num_classes=3, attention="psa_s@4", names=NAMES, output_stride=16
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def files(folder):
    return sorted(path.name for path in folder.glob("[!.]*"))


def test_one_pixel_is_a_page_a_picture_and_numbers(run, picture, tmp_path, capsys):
    words = ["explain", str(run), str(picture), "--at", "11, 30", "--out", str(tmp_path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    for part in ("fcn on test_resnet", "40 rows, 56 columns", "on cpu", "row 11, column 30"):
        assert part in text
    assert f"1 pixel explained: {tmp_path / 'a' / 'look.html'}" in text
    found = json.loads((tmp_path / "a" / "explain.json").read_text())
    (query,) = found["queries"]
    assert found["picture"] == str(picture)
    assert query["at"] == [11, 30]
    assert query["class"] == NAMES[query["class_index"]]
    assert [layer["key"] for layer in query["layers"]] == ["psa_s"]
    assert query["class_maps"] == []
    assert len(query["deletions"]) == 1
    assert files(tmp_path / "a") == sorted(["explain.json", "look.html", query["file"]])
    assert "/" not in query["file"]


def test_without_a_pixel_one_of_each_predicted_class(run, picture, capsys):
    words = ["explain", str(run), str(picture), "--no-deletion", "--quiet"]
    assert main(words) == 0
    text = capsys.readouterr().out
    folder = run / "explain" / "a"
    found = json.loads((folder / "explain.json").read_text())["queries"]
    indices = [query["class_index"] for query in found]
    assert len(set(indices)) == len(indices) >= 1
    assert all(query["deletions"] == [] for query in found)
    assert len(files(folder)) == 2 + len(found)
    assert len(text.splitlines()) == 1  # quiet


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"layers": None, "deletion": True, "class_maps": False, "class_index": None}),
        (["--layers", "a, b", "--no-deletion"], {"layers": ["a", "b"], "deletion": False}),
        (["--class-maps"], {"class_maps": True, "class_index": None, "receptive_field": False}),
        (["--receptive-field"], {"class_maps": False, "receptive_field": True}),
        (["--class", "up"], {"class_maps": True, "class_index": 1}),
        (["--class", "2"], {"class_maps": True, "class_index": 2}),
    ],
)
def test_what_is_typed_is_what_is_asked(run, picture, tmp_path, monkeypatch, words, expected):
    asked = {}

    def explain(_, image, at, **options):
        asked.update(options, at=at, size=tuple(image.shape))
        raise InputError("enough")

    monkeypatch.setattr(explanation, "explain", explain)
    given = ["explain", str(run), str(picture), "--at", "3,4", "--out", str(tmp_path), *words]
    assert main(given) == 2
    assert asked["picture"].shape == (40, 56, 3)
    assert asked.items() >= ({"at": (3, 4), "size": (1, 3, 40, 56)} | expected).items()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--at", "12"], ["at='12': must be ROW,COLUMN"]),
        (["--at", "40,0"], ["40", "0..39"]),
        (["--at=-1,0"], ["-1", "0..39"]),
        (["--layers", "nowhere", "--at", "1,1"], ["'nowhere'", "attention.stage4"]),
        (["--class", "dwon"], ["'dwon'", "'down'"]),
        (["--class", "3"], ["class='3': must be from 0 to 2"]),
        (["--largest"], ["--largest"]),
    ],
)
def test_wrong_input_is_one_line(run, picture, tmp_path, capsys, words, parts):
    out = tmp_path / "out"
    assert main(["explain", str(run), str(picture), "--out", str(out), *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in parts), line
    assert not out.exists()


def test_what_cannot_be_explained_is_said(run, tmp_path, capsys):
    (tmp_path / "b.png").write_bytes(b"not a picture")
    Image.new("RGB", (2049, 2)).save(tmp_path / "wide.png")
    Image.new("RGB", (32, 32)).save(tmp_path / "c.png")
    for model, name, parts in (
        (run, "b.png", ["b.png"]),
        (run, "wide.png", ["wide.png", "2048"]),
        (tmp_path / "nowhere", "c.png", ["nowhere", "no such folder"]),
    ):
        assert main(["explain", str(model), str(tmp_path / name), "--quiet"]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert all(part in line for part in parts), line


def test_a_network_without_attention_is_explained_by_what_it_depends_on(picture, tmp_path, capsys):
    create_model("fcn", "test_resnet", num_classes=2).save_pretrained(tmp_path / "plain")
    words = ["explain", str(tmp_path / "plain"), str(picture), "--at", "9,9", "--no-deletion"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "no attention: half of what it depends on lies within" in shown.out
    assert shown.err.count("No occlusion map: it was left out with the deletion check.") == 1
    folder = tmp_path / "plain" / "explain" / "a"
    (query,) = json.loads((folder / "explain.json").read_text())["queries"]
    assert query["layers"] == []
    assert [each["share"] for each in query["receptive_field"]["reaches"]] == [0.5, 0.9]
    assert "which are not attention" in (folder / "look.html").read_text()


def test_an_interrupt_leaves_nothing_half_written(run, picture, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(numbers, "numbers", interrupted)
    words = ["explain", str(run), str(picture), "--at", "1,1", "--no-deletion", "--quiet"]
    assert main([*words, "--out", str(tmp_path)]) == 130
    assert files(tmp_path / "a") == []
