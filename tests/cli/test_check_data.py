"""`pixelwise check-data`: findings, exit codes, the page, and repairs."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.data.landscape import draw

YAML = "train: train/images\nval: val/images\nnames: [other, building]\n"


@pytest.fixture
def data(tmp_path):
    """A data set with black and white masks."""
    for number, (split, count) in enumerate((("train", 6), ("val", 3))):
        for kind in ("images", "masks"):
            (tmp_path / "set" / split / kind).mkdir(parents=True)
        for i in range(count):
            picture, mask = draw(3, number, i, 96)
            folder = tmp_path / "set" / split
            Image.fromarray(picture).save(folder / "images" / f"{i}.png")
            Image.fromarray((mask == 1).astype(np.uint8) * 255).save(folder / "masks" / f"{i}.png")
    (tmp_path / "set" / "data.yaml").write_text(YAML)
    return tmp_path / "set"


def test_stops_and_mends(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["check-data", str(data)]) == 1
    told = capsys.readouterr().out
    assert "values-0-255" in told
    assert "map: {0: 0, 255: 1}" in told
    page = tmp_path / "runs/check-data/set/report.html"
    assert "<script" not in page.read_text("utf-8")
    found = json.loads(page.with_name("findings.json").read_text())
    assert [f["key"] for f in found["findings"] if f["severity"] == "stop"] == ["values-0-255"]
    assert main(["check-data", "set", "--fix", "mended.yaml", "--quiet"]) == 0
    assert "written: mended.yaml" in capsys.readouterr().out
    assert (data / "data.yaml").read_text() == YAML
    assert main(["check-data", "mended.yaml", "--quiet", "--workers", "0"]) == 0


def test_the_named_file_may_be_mended_itself(data, tmp_path, capsys):
    words = [str(data), "--out", str(tmp_path / "out"), "--fix"]
    assert main(["check-data", *words, str(data / "data.yaml")]) == 0
    assert "255: 1" in (data / "data.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "told"), [("other.yaml", "stands there"), ("x.txt", "YAML"), ("no/x.yaml", "folder")]
)
def test_refuses_other_targets(name, told, data, tmp_path, capsys):
    (tmp_path / "other.yaml").write_text("mine: 1\n")
    words = [str(data), "--out", str(tmp_path / "out"), "--fix", str(tmp_path / name)]
    assert main(["check-data", *words]) == 2
    assert told in capsys.readouterr().err
    assert (tmp_path / "other.yaml").read_text() == "mine: 1\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["nowhere"], ["."], ["scenes", "--workers", "-1"]])
def test_cannot_be_read(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["check-data", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_interrupted(data, tmp_path):
    """One line, no file, no process is left."""
    for kind in ("images", "masks"):
        for i in range(6000):  # so many that they are not all read before the signal comes
            (data / "train" / kind / f"more{i}.png").hardlink_to(data / f"train/{kind}/{i % 6}.png")
    words = [sys.executable, "-m", "pixelwise.cli.main", "check-data", str(data), "--workers", "2"]
    run = subprocess.Popen(
        words,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The tests may run in a job whose shell ignores the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    children = f"/proc/{run.pid}/task/{run.pid}/children"
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with open(children) as file:  # noqa: PTH123
            if len(file.read().split()) >= 2:
                break
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert errors == "interrupted\n"
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
