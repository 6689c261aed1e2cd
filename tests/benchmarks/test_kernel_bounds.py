"""Tables of kernels are those of their CSVs, and what is on paper that of its formulas."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CSV = ROOT / "studies" / "kernel_bounds.csv"


@pytest.fixture(autouse=True)
def folders(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "studies"), *sys.path])


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_has_the_table():
    import kernel_bounds

    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    lines = [f"| {' | '.join(cells)} |" for cells in kernel_bounds.table(CSV)]
    assert "\n".join(lines) in page
    assert len(lines) <= 16
    assert all(line.count(" | ") == 7 for line in lines)


def test_bounds_are_recorded_as_they_are_calculated():
    import kernel_bounds
    from hour.bounds import Work, bound, work

    for row in read(CSV):
        least = Work(0, 0, 0, 0)
        for name in kernel_bounds.ROWS[row["kernel"]]:
            backward = row["pass"] == "backward"
            least += work(name, kernel_bounds.SIZE, kernel_bounds.DTYPE, backward)
        microseconds, limit = bound(least, kernel_bounds.CARDS[row["card"]].rates())
        assert (row["bound_us"], row["bound_by"]) == (str(round(microseconds, 1)), limit)
        assert 0 < float(row["share"]) <= 0.91


def test_the_page_has_the_table_of_builds():
    import kernel_builds

    builds = ROOT / "studies" / "kernel_builds.csv"
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    lines = [f"| {' | '.join(cells)} |" for cells in kernel_builds.table(builds)]
    assert "\n".join(lines) in page
    assert not any("spilled" in line for line in lines)
    assert {row["state"] for row in read(builds)} == {"before", "after"}


@pytest.mark.slow
def test_launches_are_those_of_the_library(tmp_path):
    pytest.importorskip("triton")
    script, found = ROOT / "studies" / "kernel_bounds.py", tmp_path / "found.csv"
    subprocess.run([sys.executable, str(script), "--out", str(found)], check=True, timeout=200)
    names = ("kernel", "pass", "card", "our_kernels", "launches", "programs", "reach_us")
    shown = [[[row[name] for name in names] for row in read(path)] for path in (found, CSV)]
    assert shown[0] == shown[1]
