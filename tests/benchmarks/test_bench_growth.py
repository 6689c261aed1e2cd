"""Growth: which sizes are measured, which exponent is found, and what is written."""

import csv
import itertools

import pytest

from pixelwise.benchmarks import growth, run
from pixelwise.benchmarks.floor import Ceilings
from pixelwise.cli import bench


def test_sizes_double_the_pixels():
    found = list(itertools.islice(growth.sizes((16, 32), 1, 8), 5))
    assert [size[2:] for size in found] == [(16, 32), (32, 32), (32, 64), (64, 64), (64, 128)]
    pixels = [h * w for _, _, h, w in found]
    assert all(b == 2 * a for a, b in itertools.pairwise(pixels))


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_a_known_exponent_is_found(power):
    pixels = [512 * 2**i for i in range(8)]
    values = [3.0 + 1e-4 * x**power if i < 4 else 1e-4 * x**power for i, x in enumerate(pixels)]
    assert growth.exponent(pixels, values) == pytest.approx(power)


def test_no_exponent_without_two_sizes():
    assert growth.exponent([512], [1.0]) is None
    assert growth.exponent([512, 1024], [0.0, 1.0]) is None


def test_what_comes_next_is_expected_from_the_last_two():
    assert growth.expected([3.0]) == 12
    assert growth.expected([1.0, 2.0]) == 4
    assert growth.expected([1.0, 100.0]) == 400
    assert growth.expected([1.0, 1.0]) == 1.5


def test_a_run_ends_before_a_call_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelwise.benchmarks.processes.begin", lambda *, networks: None)
    monkeypatch.setattr(run, "alone", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(run, "ceilings", lambda device, dtype: Ceilings(1e11, 1e10))
    made = {"ours": lambda n: 1e-3 * n, "plain": lambda n: 1e-6 * n**2}

    def taken(work):
        pixels = work.size[2] * work.size[3]
        found = {}
        for form in work.forms:
            took = made[form](pixels)
            found[form] = run.Taken(milliseconds=[took] * 2, peak_mb=pixels / 2**16)
        return found

    monkeypatch.setattr(run, "_taken", taken)
    arguments = ["eca", "--growth", "--size", "1x8x1x1", "--mode", "forward", "--quiet"]
    assert bench.main([*arguments, "--seconds-per-call", "0.02", "--out", str(tmp_path)]) == 0
    with (tmp_path / "growth.csv").open(newline="") as file:
        ours, plain = csv.DictReader(file)
    assert (ours["form"], plain["form"]) == ("ours", "plain")
    assert float(ours["time_exponent"]) == pytest.approx(1, abs=0.01)
    assert float(plain["time_exponent"]) == pytest.approx(2, abs=0.01)
    assert float(ours["memory_exponent"]) == pytest.approx(1, abs=0.01)
    assert float(ours["flop_exponent"]) == pytest.approx(1, abs=0.05)
    assert float(ours["cost_exponent"]) == 1
    assert int(ours["largest_pixels"]) == 16384
    assert int(plain["largest_pixels"]) == 4096
    for name in ("time.png", "memory.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "table.md").exists()
