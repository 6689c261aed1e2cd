"""Planted truths: a layer that does nothing, and one that is given the answer."""

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
WORDS = shlex.split(
    "--attention none,control,nothing,knowing --backbone test_resnet --batch-size 8 --crop 64x64"
    " --steps 60 --lr 0.01 --seeds 3 --workers 0 --device cpu --no-longer --no-exports --name one"
)
PLAIN = "{scale_min: 1, scale_max: 1, flip: false, colour: 0}"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    words = [sys.executable, str(Path(__file__).parent / "planted.py"), "data", *WORDS]
    done = subprocess.run(
        [*words, "--train", PLAIN, "--quiet"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "runs/compare/one", done.stdout


def test_what_does_nothing_has_no_evidence_and_what_knows_the_answer_wins(compared):
    folder, told = compared
    with (folder / "verdicts.csv").open(encoding="utf-8") as file:
        rows = {row["mechanism"]: row for row in csv.DictReader(file)}
    assert rows["nothing"]["verdict"] == "no evidence"
    assert rows["knowing"]["verdict"] == "worth it"
    assert "knowing: +" in told


def test_same_seeds_see_the_same(compared):
    """A layer that changes nothing ends in the very scores of the network without it."""
    folder, _ = compared
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = {(row["arm"], row["seed"]): row for row in rows}
    assert len(rows) == 5 * 3
    for seed in "012":
        one, other = scores["none", seed], scores["nothing", seed]
        assert one["miou"] == other["miou"]
    assert len({scores["none", seed]["miou"] for seed in "012"}) == 3


def test_pictures_and_pages_are_there(compared):
    folder, _ = compared
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "worth it" in page
    assert "值得" in page
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert list(folder.glob("differs_*.png"))
    assert not list(folder.glob("runs/*/*/checkpoints"))
