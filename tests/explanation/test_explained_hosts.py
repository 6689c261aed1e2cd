"""The table of explanations of other people's networks, and the study behind it."""

import csv
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CSV = ROOT / "studies" / "explained_hosts.csv"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    import explained_hosts

    yield explained_hosts
    sys.modules.pop("explained_hosts", None)


def test_the_docs_hold_the_table(study):
    assert study.table(CSV) in (ROOT / "docs" / "explain.md").read_text("utf-8")


def test_the_rows_are_those_of_the_study_and_proven(study):
    with CSV.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["host"]: row for row in rows}
    assert list(found) == list(study.HOSTS)
    assert all(float(row["proof"]) <= 1e-6 for row in rows if row["proof"])
    assert all(int(row["maps"]) or int(row["notes"]) for row in rows)
    assert max(int(row["tokens"]) for row in rows) >= 4096
    assert all(row["torch"] and row["cpu"] for row in rows)


def test_tensors_are_found_in_any_nest(study):
    inner = torch.zeros(1, 2, 3, 4)
    model = study.Dense(lambda image: ({"a": [image[0], (inner, image)]}, "text"))
    assert model(torch.zeros(1, 5)) is inner


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm vit_small_patch16_224", "torchvision swin_t"])
def test_a_network_is_measured_as_the_csv_has_it(study, name):
    row = study.explained(name)
    with CSV.open(newline="") as file:
        wanted = next(one for one in csv.DictReader(file) if one["host"] == name)
    same = ("picture", "tokens", "maps", "heads", "notes", "note")
    assert {key: str(row[key]) for key in same} == {key: wanted[key] for key in same}
    assert float(row["proof"]) <= 1e-6
