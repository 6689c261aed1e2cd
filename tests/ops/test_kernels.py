"""How kernels are reached. Their numbers: `test_kernel_numbers.py`, which this starts."""

import logging
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from test_kernel_numbers import INTERPRETED, SMALL, run

from pixelwise.ops.running import choice, kernels

NUMBERS = Path(__file__).with_name("test_kernel_numbers.py")


def interpreted(chosen):
    """Run these tests where Triton interprets, in a process of its own."""
    if INTERPRETED:
        pytest.skip("this is the process that interprets")
    pytest.importorskip("triton")
    command = [sys.executable, "-m", "pytest", str(NUMBERS), "-q", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "-m", chosen],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-1000:]
    assert " passed" in found.stdout


@pytest.mark.slow
def test_small_maps_in_the_interpreter():
    interpreted("not slow and not gpu")


@pytest.mark.slow
def test_large_maps_in_the_interpreter(request):
    if not request.config.getoption("kernels"):
        pytest.skip("takes minutes: give --kernels")
    interpreted("slow and not gpu")


@pytest.fixture
def broken(monkeypatch):
    """Every kernel fails as one that cannot be built; the calls are listed."""
    calls = []

    def apply(*arguments):
        calls.append(arguments)
        raise RuntimeError("no compiler here\nand more about it")

    module = types.SimpleNamespace(apply=apply)
    monkeypatch.setattr(kernels.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(kernels, "interpreted", lambda: False)
    monkeypatch.setattr(kernels, "_broken", set())
    return calls


@pytest.mark.parametrize("name", SMALL)
def test_lean_form_where_a_kernel_cannot_be_built(name, broken, caplog):
    case = SMALL[name]
    torch.manual_seed(5)
    inputs = case.draw("cpu")

    def form(wanted):
        def function(*given):
            with choice.forced(**{case.operation: wanted}):
                return case.function(*given, **case.options)

        return run(function, inputs)

    with caplog.at_level(logging.WARNING):
        found, again, lean = form("kernel"), form("kernel"), form("lean")
    for one, two, wanted in zip(found, again, lean, strict=True):
        assert torch.equal(one, wanted)
        assert torch.equal(two, wanted)
    assert len(broken) == 1, "a kernel that does not run is not tried again"
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the Triton kernel of {case.operation} does not run here (RuntimeError: no compiler here)"
    )


def test_memory_that_does_not_suffice_is_no_broken_kernel(monkeypatch):
    def apply(*arguments):
        raise torch.OutOfMemoryError("too large")

    module = types.SimpleNamespace(apply=apply)
    monkeypatch.setattr(kernels.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(kernels, "_broken", set())
    with pytest.raises(torch.OutOfMemoryError):
        kernels.either("kernel", "joint_gate", len)(torch.zeros(1))
    assert not kernels._broken


def test_kernels_are_for_cuda_and_half_or_single_precision():
    assert not any(kernels.available(torch.zeros(1, dtype=kind)) for kind in kernels.HALF_OR_SINGLE)
    assert choice.form("joint_gate", torch.zeros(1)) == "lean"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_choice_on_cuda():
    x = torch.zeros(1, 1, 1, device="cuda")
    assert choice.form("joint_gate", x) == ("kernel" if kernels.installed() else "lean")
    assert choice.form("joint_gate", x.double()) == "lean"


def test_triton_is_loaded_by_a_kernel_alone():
    code = (
        "import sys, pkgutil, importlib, pixelwise.ops, pixelwise.layers\n"
        "for found in pkgutil.walk_packages(pixelwise.ops.__path__, 'pixelwise.ops.'):\n"
        "    name = found.name.rpartition('.')[2]\n"
        "    if name != 'kernel' and not name.startswith('kernel_'):\n"
        "        importlib.import_module(found.name)\n"
        "assert 'triton' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
