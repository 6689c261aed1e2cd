"""`pixelwise import` and `pixelwise.load` as a user meets them."""

import json

import keys
import pytest
import torch
from files import narrow, numbers, write
from safetensors.torch import save_file

import pixelwise
from pixelwise.cli.main import main

NAMES = [f"class {i}" for i in range(19)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "danet_r50-d8.pth"
    return write(path, numbers(narrow("danet_r50-d8")), meta={"CLASSES": NAMES})


def test_import_writes_a_network_that_loads(checkpoint, tmp_path, capsys):
    out = tmp_path / "danet"
    assert main(["import", str(checkpoint), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    for part in (
        "MiB",
        "found   mmsegmentation 0.x: danet on ResNet",
        "classes class 0, class 1,",
        "align_corners=False",
        f"160 tensors mapped: {out}",
        f"next: pixelwise predict {out} PICTURES",
    ):
        assert part in text, text
    assert sorted(path.name for path in out.glob("[!.]*")) == ["config.json", "model.safetensors"]
    again, direct = pixelwise.load(out), pixelwise.load(checkpoint)
    assert again.config == direct.config
    assert again.config.names == tuple(NAMES)
    assert not direct.training
    image = torch.randn(1, 3, 40, 33)
    with torch.no_grad():
        assert torch.equal(again(image), direct(image))


def test_quiet_says_the_result_alone(checkpoint, tmp_path, capsys):
    assert main(["import", str(checkpoint), "--out", str(tmp_path / "a"), "--quiet"]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 2


def test_a_detector_gives_its_backbone_only(tmp_path, capsys):
    path = write(tmp_path / "gcnet.pth", numbers(keys.gcnet()))
    words = ["import", str(path), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "no segmentation head" in told
    assert "--backbone-only CLASSES" in told
    assert not (tmp_path / "out").exists()
    assert main([*words, "--backbone-only", "5"]) == 0
    text = capsys.readouterr().out
    assert "the decoder is new and has to be trained" in text
    assert "3 global context blocks" in text
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["num_classes"] == 5
    assert all(f"blocks{i}" in config["attention"] for i in (2, 3, 4)), config["attention"]
    assert pixelwise.load(tmp_path / "out").config.num_classes == 5


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["nowhere.pth", "--out", "a"], "nowhere.pth: no such file"),
        ([".", "--out", "a"], ".: is a folder; give the checkpoint file in it"),
        (["broken.pth", "--out", "a"], "broken.pth"),
        (["unknown.safetensors", "--out", "a"], "names of no known code base, a, b"),
        (["unknown.safetensors"], "out"),
        (
            ["unknown.safetensors", "--out", "a", "--backbone-only", "0"],
            "backbone_only=0: must be from",
        ),
    ],
)
def test_refusals_are_one_line(words, part, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04")
    save_file({"a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "unknown.safetensors")
    assert main(["import", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert part in lines[0]
    assert not (tmp_path / "a").exists()


def test_weights_that_are_no_numbers_are_refused_unless_asked(tmp_path, capsys):
    state = numbers(narrow("danet_r50-d8"))
    key = "decode_head.conv_seg.bias"
    state[key] = torch.full_like(state[key], torch.nan)
    path = write(tmp_path / "nan.pth", state)
    words = ["import", str(path), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"1 of {len(state)} tensors hold NaN or infinity: {key}" in told
    assert "--allow-nan" in told
    assert not (tmp_path / "out").exists()
    assert main([*words, "--allow-nan"]) == 0
    assert "note    1 of" in capsys.readouterr().out


def test_other_weights_in_the_file_are_told(tmp_path, capsys):
    state = numbers(narrow("danet_r50-d8"))
    path = write(tmp_path / "a.pth", state, ema=state, optimizer={"state": {0: torch.ones(3)}})
    assert main(["import", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "the file holds other weights beside, under 'ema': not taken" in capsys.readouterr().out
