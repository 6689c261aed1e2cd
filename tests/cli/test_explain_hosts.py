"""`pixelwise explain` for networks of timm and of files."""

import json

import numpy as np
import pytest
from PIL import Image

from pixelwise.cli.explain_host import names_host
from pixelwise.cli.main import main

NET = """
import torch
from torch import nn

def build(classes=3, strict=False):
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, classes, 3, padding=1)
    net = nn.Sequential(first, nn.ReLU(), last)
    if strict:
        net.insert(0, nn.Unflatten(3, (2, 7)))
    return net
"""


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (20, 28, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "街.png")
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return "街.png"


def test_a_file_of_ones_own(picture, tmp_path, capsys):
    words = ["explain", "net.py:build(classes=4)", picture, "--size", "40x56", "--at", "10,13"]
    assert main([*words, "--no-deletion"]) == 0
    text = capsys.readouterr().out
    assert "values from 0 to 1" in text
    assert "row 10, column 13" in text
    folder = tmp_path / "runs" / "explain" / "net.py_build_classes_4" / "街"
    (query,) = json.loads((folder / "explain.json").read_text("utf-8"))["queries"]
    assert query["at"] == [21, 27]
    assert query["at_in_picture"] == [10, 13]
    assert query["receptive_field"]["reaches"][1]["radius"] <= 8**0.5
    assert (folder / "look.html").is_file()
    assert main(["explain", "net.py:build", picture, "--no-deletion", "--quiet", "--out", "o"]) == 0
    found = json.loads((tmp_path / "o" / "街" / "explain.json").read_text("utf-8"))["queries"]
    indices = [query["class_index"] for query in found]
    assert len(indices) == len(set(indices)) >= 2


def test_a_timm_model_at_its_size(picture, tmp_path, capsys):
    words = ["explain", "test_vit2.r160_in1k", picture, "--no-deletion", "--out", "o"]
    assert main(words) == 0
    found = json.loads((tmp_path / "o" / "街" / "explain.json").read_text("utf-8"))
    assert found["queries"][0]["at_in_picture"] == [10, 14]  # the middle, of a classifier
    assert "weights: random" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["net.py:biuld"], ["biuld", "build"]),
        (["net.py:build(strict=True)"], ["size=20x28: the network fails", "give --size"]),
        (["net.py:build", "--at", "20,0"], ["0..19"]),
        (["net.py:build", "--point", "nose"], ["point='nose': is for runs of pixelwise train"]),
        (["net.py:build", "--class", "7", "--at", "1,1"], ["classes 0 to 2"]),
        (["net.py:build", "--size", "4097"], ["2048", "--size"]),
        (["net.py:build", "--checkpoint", "nowhere.pt"], ["nowhere.pt"]),
        (["net.py:build", "--layers", "0", "--at", "1,1"], ["used no attention"]),
        (["restnet18"], ["no such folder"]),
        (["nowhere", "--size", "32"], ["size='32': is for a timm model"]),
    ],
)
def test_wrong_input_is_one_line(picture, tmp_path, capsys, words, parts):
    assert main(["explain", words[0], picture, *words[1:], "--out", "o"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in parts), line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("vit_small_patch16_224", True),
        ("vit_small_patch16_dinov3.lvd1689m", True),
        ("resnet18(in_chans=3)", True),
        ("a/net.py:build", True),
        ("runs/train/1", False),
        ("owner/name", False),
        ("resnet", False),
        ("", False),
        ("a\nb", False),
        ("n" * 5000, False),
    ],
)
def test_what_is_named(tmp_path, monkeypatch, text, host):
    monkeypatch.chdir(tmp_path)
    assert names_host(text) == host
