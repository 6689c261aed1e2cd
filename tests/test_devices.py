"""Names of devices, and what is said of one that is not here."""

import pytest
import torch

from pixelwise.devices import check_device, pick_device
from pixelwise.errors import InputError


@pytest.fixture
def machine(monkeypatch):
    """A function that says how many accelerators PyTorch sees."""

    def has(cuda=0, mps=0, xpu=0):
        for module, count in ((torch.cuda, cuda), (torch.xpu, xpu)):
            monkeypatch.setattr(module, "is_available", lambda count=count: count > 0)
            monkeypatch.setattr(module, "device_count", lambda count=count: count)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps > 0)

    return has


@pytest.mark.parametrize(
    "name", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps", "xpu", "xpu:1"]
)
def test_names(name):
    check_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cud", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA"])
def test_what_is_no_name(name):
    with pytest.raises(InputError, match=f"device='{name}': must be auto, cpu, cuda, cuda:N"):
        pick_device(name)


def test_auto_is_the_gpu_where_there_is_one(machine):
    machine()
    assert pick_device("auto") == "cpu"
    machine(mps=1, xpu=1)
    assert pick_device("auto") == "cpu"
    machine(cuda=2)
    assert pick_device("auto") == "cuda"


def test_what_is_here_is_taken(machine):
    machine(cuda=2, mps=1, xpu=1)
    for name in ("cpu", "cuda", "cuda:1", "mps", "xpu", "xpu:0"):
        assert pick_device(name) == name


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "xpu"])
def test_what_is_not_here_is_said_in_a_line(machine, name):
    machine()
    with pytest.raises(InputError) as caught:
        pick_device(name)
    assert str(caught.value) == f"device='{name}': PyTorch sees none here; take 'cpu'"


def test_a_number_that_is_not_here(machine):
    machine(cuda=2)
    with pytest.raises(InputError, match="device='cuda:2': there are 2, numbered from 0; take ano"):
        pick_device("cuda:2")
