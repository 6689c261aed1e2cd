"""Reading files of other codes: what is found in them, and that nothing in them is run."""

import argparse
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import Checkpoint

STATE = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.zeros(2)}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"net": STATE, "step": 3},
        {"model": {f"module.{k}": v for k, v in STATE.items()}, "optimizer": {"lr": 0.1}},
        {"state_dict": {f"module.model.{k}": v for k, v in STATE.items()}},
        {"model": {"net": STATE}},
    ],
)
def test_weights_are_found_wherever_they_lie(tmp_path, content):
    torch.save(content, tmp_path / "a.pth.tar")
    found = Checkpoint.open(tmp_path / "a.pth.tar")
    assert {k: v.tolist() for k, v in found.state.items()} == {
        k: v.tolist() for k, v in STATE.items()
    }


def test_what_stands_beside_the_weights_is_kept(tmp_path):
    meta = {"CLASSES": ["a"], "config": "model = dict()"}
    torch.save({"meta": meta, "state_dict": STATE}, tmp_path / "a.pth")
    found = Checkpoint.open(tmp_path / "a.pth")
    assert found.meta == {"meta": meta}
    assert found.size == (tmp_path / "a.pth").stat().st_size


def test_weights_of_a_loss_are_left_out(tmp_path):
    state = {f"model.{k}": v for k, v in STATE.items()} | {"loss.criterion.weight": torch.ones(2)}
    torch.save(state, tmp_path / "a.pth")
    found = Checkpoint.open(tmp_path / "a.pth")
    assert set(found.state) == set(STATE)
    assert found.losses == ("loss.criterion.weight",)


def test_safetensors_and_old_files(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "old.pth"):
        assert set(Checkpoint.open(tmp_path / name).state) == set(STATE)


def foreign_class(monkeypatch, module, name, **members):
    """A class that exists while the file is written, and not when it is read."""
    parts = module.split(".")
    for i in range(len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[: i + 1]), types.ModuleType(parts[i]))
    made = type(name, (), {"__module__": module, **members})
    setattr(sys.modules[module], name, made)
    return made


def test_mmengine_logs_and_numbers_are_passed_over(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        log = foreign_class(patch, "mmengine.logging.history_buffer", "HistoryBuffer")()
        log._log_history, log._statistics_methods = np.arange(4.0), {"mean": "mean"}
        hub = {"log_scalars": {"loss": log}, "runtime_info": {"best": np.float64(0.5)}}
        beside = {"message_hub": hub, "args": argparse.Namespace(lr=0.1)}
        torch.save({"state_dict": STATE, **beside}, tmp_path / "a.pth")
    found = Checkpoint.open(tmp_path / "a.pth")
    assert "mmengine" not in sys.modules
    assert set(found.state) == set(STATE)
    assert "args" not in found.meta


class Trap:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_foreign_objects_are_refused_and_not_run(tmp_path):
    proof = tmp_path / "proof"
    traps = {"os": Trap(__import__("os").mkdir, str(proof)), "eval": Trap(eval, "1")}
    for name, trap in traps.items():
        torch.save({"state_dict": STATE, "trap": trap}, tmp_path / f"{name}.pth")
        with pytest.raises(
            InputError, match=r"\.pth: holds an object of '.*could run code"
        ) as told:
            Checkpoint.open(tmp_path / f"{name}.pth")
        assert name in str(told.value) or "posix.mkdir" in str(told.value)
        assert "torch.save" in str(told.value)
    assert not proof.exists()
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(traps["os"]))
    with pytest.raises(InputError):
        Checkpoint.open(tmp_path / "plain.pth")
    assert not proof.exists()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["new.pth", "old.pth", "a.safetensors"])
def test_truncated_files(tmp_path, name, share):
    path = tmp_path / name
    if name == "a.safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=name == "new.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"cannot be read as a checkpoint .*truncated|is empty"):
        Checkpoint.open(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epoch": 3, "optimizer": {}}, "no weights in it, its entries are: epoch, optimizer"),
        ([1, 2], "holds a list"),
        (torch.ones(2), "holds one tensor"),
        ({}, "its entries are: none"),
    ],
)
def test_files_without_weights(tmp_path, content, told):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=told):
        Checkpoint.open(tmp_path / "a.pth")
