"""`pixelwise bench`: its files, its table, its errors, and what is left when it is interrupted."""

import csv
import os
import subprocess
import sys

import pytest
import torch

from pixelwise.benchmarks import run
from pixelwise.benchmarks.floor import Ceilings, ceilings
from pixelwise.cli import bench
from pixelwise.errors import InputError

MACHINE = ["date", "cpu", "cores", "threads", "python", "torch", "pixelwise"]
QUICK = ["--seconds", "0.01", "--repeats", "2", "--size", "1x16x8x8"]
PNG = b"\x89PNG"


def rows(folder, name="results.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def at_once(monkeypatch):
    """Without processes, and without measuring the machine."""
    monkeypatch.setattr("pixelwise.benchmarks.processes.begin", lambda *, networks: None)
    monkeypatch.setattr(run, "alone", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(run, "ceilings", lambda device, dtype: Ceilings(1e11, 1e10))


@pytest.mark.slow
def test_a_run_in_processes_writes_everything(tmp_path, capfd):
    out = tmp_path / "bench"
    names = ["se", "gc:reduction=4"]
    assert bench.main([*names, *QUICK, "--mode", "train", "--out", str(out)]) == 0
    found = rows(out)
    columns = list(found[0])
    assert columns[: len(MACHINE)] == MACHINE
    assert {"peer", "size", "ratio", "peak_mb", "predicted_mb", "gflop"} < set(columns)
    assert {"parameters", "floor_ms", "over_floor"} < set(columns)
    assert [(r["name"], r["mode"], r["form"]) for r in found] == [
        (name, "train", form) for name in names for form in ("ours", "plain")
    ]
    for row in found:
        assert row["problem"] == ""
        assert int(row["n"]) >= 2
        assert 0 < float(row["min_ms"]) <= float(row["median_ms"]) <= float(row["max_ms"])
        assert float(row["peak_mb"]) >= 0
    assert float(found[0]["predicted_mb"]) > 0
    assert float(found[0]["ratio"]) == 1
    assert (out / "ratios.png").read_bytes().startswith(PNG)
    table = (out / "table.md").read_text()
    assert "plain, geometric mean: train" in table
    assert table.count("| `se` |") == 1
    assert "plain" in table
    shown = capfd.readouterr().out
    assert "geometric mean" in shown
    assert str(out) in shown


@pytest.mark.slow
def test_modes_and_other_packages(tmp_path, at_once):
    assert bench.main(["se", *QUICK, "--against", "timm", "--quiet", "--out", str(tmp_path)]) == 0
    found = rows(tmp_path)
    assert [(row["mode"], row["form"]) for row in found] == [
        (mode, form) for mode in ("forward", "train") for form in ("ours", "timm")
    ]
    assert [row["peer"].partition(" ")[0] for row in found] == ["", "timm", "", "timm"]


def test_a_form_without_the_mechanism_has_no_row(tmp_path, at_once):
    assert bench.main(["pam", *QUICK, "--mode", "forward", "--against", "timm", "--quiet",
                       "--out", str(tmp_path)]) == 0  # fmt: skip
    assert [row["form"] for row in rows(tmp_path)] == ["ours"]


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_the_authors_form_is_beside_the_plain_one(tmp_path, at_once, mode, capsys):
    words = ["se", "encoding", *QUICK, "--mode", mode, "--against", "plain,authors-form"]
    assert bench.main([*words, "--quiet", "--out", str(tmp_path)]) == 0
    found = rows(tmp_path)
    assert [(row["name"], row["form"]) for row in found] == [
        ("se", "ours"),
        ("se", "plain"),
        ("encoding", "ours"),
        ("encoding", "plain"),
        ("encoding", "authors-form"),
    ]
    assert all(float(row["median_ms"]) > 0 and row["problem"] == "" for row in found)
    shown = capsys.readouterr().out
    for form in ("plain", "authors-form"):
        assert f"{form}, geometric mean: {mode}" in shown
        assert form in (tmp_path / "table.md").read_text()


def test_where_no_layer_has_an_authors_form_the_plain_one_is_named(tmp_path, at_once):
    """Once `authors-form` was the name of the plain form: who types it so learns the new one."""
    out = tmp_path / "none"
    with pytest.raises(InputError, match="use --against plain"):
        bench.main(["se", "pam", *QUICK, "--against", "authors-form", "--out", str(out)])
    assert not out.exists()


def test_what_the_authors_code_cannot_run_on_is_said(tmp_path, at_once, capsys):
    size = ["--seconds", "0.01", "--repeats", "2", "--size", "2x16x8x16"]
    words = ["bam", "se", *size, "--mode", "forward", "--against", "none", "--quiet"]
    assert bench.main([*words, "--out", str(tmp_path)]) == 0
    note = "bam: the authors' code runs where h <= w < 2 h alone"
    assert capsys.readouterr().out.count(note) == 1
    assert f"\n- {note}\n" in (tmp_path / "table.md").read_text()


def test_the_forms_that_ran_are_told(tmp_path, at_once, capsys):
    words = ["pam", *QUICK, "--mode", "forward", "--forms", "attention=lean", "--against", "timm"]
    assert bench.main([*words, "--quiet", "--out", str(tmp_path)]) == 0
    assert "forms taken: attention lean\n" in capsys.readouterr().out


def test_floor_counts_maps_and_operations():
    quick = Ceilings(operations=1e30, bytes=100.0)
    assert quick.floor(1, [10.0, 20.0], training=False) == pytest.approx(0.3)
    assert quick.floor(1, [10.0, 20.0], training=True) == pytest.approx(0.7)
    slow = Ceilings(operations=10.0, bytes=1e30)
    assert slow.floor(50, [10.0, 20.0], training=False) == pytest.approx(5)
    assert slow.floor(50, [10.0, 20.0], training=True) == pytest.approx(15)


@pytest.mark.slow
def test_interrupted_run_keeps_its_rows(tmp_path, capsys, at_once, monkeypatch):
    measured = []

    def taken(work):
        if measured:
            raise KeyboardInterrupt
        measured.append(work)
        return original(work)

    original = run._taken
    monkeypatch.setattr(run, "_taken", taken)
    assert bench.main(["se", "pam", *QUICK, "--quiet", "--out", str(tmp_path)]) == 130
    assert [(row["name"], row["form"]) for row in rows(tmp_path)] == [
        ("se", "ours"),
        ("se", "plain"),
    ]
    assert f"kept: {tmp_path}" in capsys.readouterr().err
    assert (tmp_path / "table.md").exists()


def test_a_process_that_dies_becomes_a_row(tmp_path, at_once, monkeypatch):
    def alone(function, *arguments):
        if function is run.timed and "plain" in arguments[0].forms:
            raise run.ChildFailed("process ended: killed; memory used up?")
        return function(*arguments)

    monkeypatch.setattr(run, "alone", alone)
    options = ["--mode", "forward", "--quiet", "--out", str(tmp_path)]
    assert bench.main(["se", *QUICK, *options]) == 0
    ours, plain = rows(tmp_path)
    assert float(ours["median_ms"]) > 0
    assert plain["median_ms"] == ""
    assert "memory used up" in plain["problem"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["se", "--size", "8x8"],
        ["se", "--against", "nobody"],
        ["se", "--forms", "attention=quick"],
        ["pam", "--size", "1x4x8x8"],
        ["danet", "--backbone", "resnet9000"],
    ],
)
def test_wrong_input_is_refused_before_anything_is_measured(arguments, tmp_path, at_once):
    out = tmp_path / "none"
    with pytest.raises(InputError):
        bench.main([*arguments, "--out", str(out)])
    assert not out.exists()


def test_a_device_that_is_missing_leaves_nothing(tmp_path, at_once, monkeypatch):
    monkeypatch.setattr(run, "ceilings", ceilings)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="PyTorch sees none here"):
        bench.main(["se", "--device", "cuda", "--out", str(tmp_path / "none")])
    assert not any(tmp_path.iterdir())


def test_help_is_quick_and_short():
    code = (
        "import sys\nfrom pixelwise.cli.bench import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules\nassert 'matplotlib' not in sys.modules"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}
    )
    assert found.returncode == 0, found.stderr
    flags = {word for word in found.stdout.split() if word.startswith("--") and word[2:].isalpha()}
    assert len(flags) <= 20
