"""`pixelwise serve`: what it says, what it refuses, and how it ends."""

import re
import signal
import subprocess
import sys

import httpx
import pytest
from serve_client import made

from pixelwise.cli.main import main
from pixelwise.cli.serve import MEGAPIXELS
from pixelwise.serve import decoding
from pixelwise.serve.described import shown_names


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "街" / "3"
    made("fcn").save_pretrained(folder)
    return folder


def test_the_limit_is_the_same_in_both_places():
    assert MEGAPIXELS == decoding.MEGAPIXELS


def test_it_serves_until_it_is_interrupted(run, pictures):
    words = [sys.executable, "-m", "pixelwise", "serve", str(run), str(pictures[0].parent)]
    process = subprocess.Popen(
        [*words, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stdout.readline())
            assert lines[-1], process.communicate()[1]
        address = re.search(r"http://127\.0\.0\.1:\d+/", "".join(lines))[0]
        assert "list    2 pictures" in "".join(lines)
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
            for _ in range(50):
                try:
                    told = http.get("api/describe").json()
                    break
                except httpx.ConnectError:
                    continue
        assert told["runs"] == [{"name": "3", "arch": "fcn", "backbone": "test_resnet"}]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "99999"], "port=99999: must be from 0 to 65535; lower port"),
        (["--host", ""], "host='': must be an address; e.g. 127.0.0.1"),
        (["--max-megapixels", "0"], "max_megapixels=0"),
        (["nowhere.png"], "nowhere.png: no such file or folder; check the path"),
        (["--beside", "nowhere"], "nowhere: no such folder"),
        (["--device", "tpu"], "device='tpu'"),
        (["--host", "192.0.2.77"], "host='192.0.2.77', port=None: cannot be listened on"),
    ],
)
def test_wrong_words_are_one_line(run, words, told, capsys):
    assert main(["serve", str(run), "--quiet", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {told}")
    assert error.count("\n") == 1
    assert "; " in error


def test_networks_that_are_not_alike_are_refused(run, tmp_path, capsys):
    made("fcn", ("one", "two")).save_pretrained(tmp_path / "other")
    assert main(["serve", str(run), "--beside", str(tmp_path / "other"), "--quiet"]) == 2
    assert "has another task or other classes than" in capsys.readouterr().err


def test_a_folder_that_cannot_take_masks_is_refused_at_the_start(run, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["serve", str(run), "--save-to", str(tmp_path), "--quiet"]) == 2
    assert "holds other files and no data.yaml; choose a new folder" in capsys.readouterr().err


def test_without_the_extra_one_line_says_what_to_install(run, monkeypatch, capsys):
    found = __import__("importlib.util").util.find_spec
    lacks = lambda name: None if name == "uvicorn" else found(name)  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", lacks)
    assert main(["serve", str(run), "--quiet"]) == 2
    assert "uvicorn: is not installed, and the page needs it; pip" in capsys.readouterr().err


def test_names_of_runs_are_as_short_as_they_may_be():
    assert shown_names(["runs/train/3"]) == ["3"]
    assert shown_names(["runs/train/3", "runs/compare/4"]) == ["3", "4"]
    assert shown_names(["runs/train/3", "runs/compare/3"]) == ["train/3", "compare/3"]
