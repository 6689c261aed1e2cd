"""The page of performance says what the recorded measurements say."""

import csv
from pathlib import Path
from statistics import geometric_mean

import pytest

from pixelwise.benchmarks.cases import parse_case
from pixelwise.benchmarks.settings import AUTHORS, MODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def recorded(name):
    with (ROOT / "studies" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def ratios(row):
    found = [f"{float(row[name]):.2f}" for name in ("ratio_median", "repeat_median") if row[name]]
    return ", ".join(found)


@pytest.fixture
def beside_authors():
    found = {}
    for row in recorded("authors_code"):
        if row["authors_mb"]:  # where memory was measured too: the size of the table
            found.setdefault(row["case"], {})[row["mode"]] = row
    return found


def test_the_table_beside_the_authors_code(beside_authors):
    part = PAGE.split("## Beside the authors' code")[1].split("Whole networks")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    assert len(lines) == len(beside_authors) == 28
    for line in lines:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows = [beside_authors[name.strip("`")][mode] for mode in MODES]
        wanted = []
        for row in rows:
            wanted += [ratios(row), f"{int(row['ours_mb']):,}, {int(row['authors_mb']):,}"]
        shown = [cells[i] for i in (1, 3)]
        assert shown == [wanted[1], wanted[3]], name
        for cell, ratio in zip((cells[0], cells[2]), (wanted[0], wanted[2]), strict=True):
            assert ratio.startswith(cell), name


def test_the_means_beside_the_authors_code(beside_authors):
    for mode, told in (("forward", "- forward: {:.2f}"), ("train", "- training step: {:.2f}")):
        mean = geometric_mean(float(rows[mode]["ratio_median"]) for rows in beside_authors.values())
        assert told.format(mean) in PAGE


@pytest.mark.parametrize("name", ["layers", "layers_again", "layers_s2", "networks_costs"])
def test_authors_form_is_of_layers_that_have_one(name):
    from pixelwise.layers.registry import available

    keys = {parse_case(row["name"]).key for row in recorded(name) if row["form"] == AUTHORS}
    assert all(available()[key].authors_forms for key in keys)
