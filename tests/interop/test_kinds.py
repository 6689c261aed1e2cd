"""Files of every kind: the weights in them, or one line that says what the file is."""

import collections
import pickle
import tarfile
import types
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import WRAPPERS, Checkpoint

STATE = {"conv.weight": torch.arange(6.0).view(2, 3), "conv.bias": torch.zeros(2)}
ARRAYS = {key: value.numpy() for key, value in STATE.items()}


def same(path):
    found = Checkpoint.open(path)
    assert {k: v.tolist() for k, v in found.state.items()} == {
        k: v.tolist() for k, v in STATE.items()
    }
    return found


def refused(path, told):
    with pytest.raises(InputError, match=told) as error:
        Checkpoint.open(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pth", b"", "is empty"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "git lfs pull"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("a.pth", b"<!DOCTYPE html><html><title>Virus scan warning</title>", "is a web page"),
        ("a.safetensors", b"\n  <html>not found</html>", "is a web page"),
        ("a.pth", b"<?xml version='1.0'?><Error>AccessDenied</Error>", "is a web page"),
        ("a.pth", b'{"error": "not found"}', "is JSON text"),
        ("a.safetensors.index.json", b'{"weight_map": {}}', "index of weights in several files"),
        ("a.onnx", b"\x08\x07\x12\x07pytorch\x1a\x05", "is an ONNX model"),
        ("a.pth", b"\x08\x07\x12\x07pytorch\x1a\x05", "is an ONNX model"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file"),
        ("a.pth", b"\x89PNG\r\n\x1a\n" + bytes(99), "is a PNG picture"),
        ("a.pth.gz", b"\x1f\x8b" + bytes(99), "compressed with gzip; unpack|compressed with gzip"),
        ("a.pth", b"PK\x03\x04" + bytes(99), "cannot be read as a checkpoint"),
        ("a.safetensors", (99).to_bytes(8, "little") + b"{}", "its header tells 107 bytes"),
        ("a.pth", bytes(1000), "cannot be read as a checkpoint"),
        ("a.pth", b"a text about weights", "cannot be read as a checkpoint"),
    ],
)
def test_files_that_are_something_else(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, told)


def test_archives_of_other_things(tmp_path):
    torch.save(STATE, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.pth", "best.pth")
    refused(tmp_path / "a.zip", r"is a zip archive of best\.pth .*unpack it first")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.pth", "best.pth")
    refused(tmp_path / "a.tar", r"is a tar archive of best\.pth .*unpack it first")
    np.savez(tmp_path / "a.npz", **ARRAYS)
    refused(tmp_path / "a.npz", "is a zip archive of conv")
    refused(tmp_path, "is a folder")


@pytest.mark.filterwarnings("ignore")
def test_archives_with_code_are_not_opened(tmp_path):
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "is a TorchScript archive")
    program = torch.export.export(nn.Linear(3, 2), (torch.ones(1, 3),))
    torch.export.save(program, tmp_path / "a.pt2")
    refused(tmp_path / "a.pt2", r"is a program of torch\.export")


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.bin", "a.ckpt", "a.safetensors", "weights"])
def test_names_say_nothing(name, tmp_path):
    torch.save(STATE, tmp_path / name)
    same(tmp_path / name)
    save_file(STATE, tmp_path / name, metadata={"format": "tf", "note": "é" * 500})
    same(tmp_path / name)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickled_arrays(protocol, tmp_path):
    for content in (ARRAYS, {"model": ARRAYS, "__author__": "x"}):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
        same(tmp_path / "a.pkl")
    torch.save({"state_dict": ARRAYS}, tmp_path / "a.pth")
    same(tmp_path / "a.pth")
    odd = {"a.b": np.arange(6, dtype=">f4").reshape(2, 3).T, "a.c": np.ones((0, 2), "f2")}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(odd, protocol))
    found = Checkpoint.open(tmp_path / "a.pkl").state
    assert found["a.b"].tolist() == odd["a.b"].tolist()
    assert found["a.c"].shape == (0, 2)


def test_what_lies_beside_the_weights_is_passed_over(tmp_path):
    beside = {
        "default": collections.defaultdict(list, {"a": [1]}),
        "order": collections.OrderedDict(a=1),
        "count": collections.Counter("ab"),
        "queue": collections.deque([1, 2]),
        "space": types.SimpleNamespace(a=1),
        "array": np.arange(3.0),
        "words": np.array(["a", "b"]),
        "number": np.float64(0.5),
        "random": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "kind": torch.float16,
        "place": torch.device("cpu"),
        "set": {1, 2},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
    }
    torch.save({"state_dict": collections.defaultdict(None, STATE), **beside}, tmp_path / "a.pth")
    found = same(tmp_path / "a.pth")
    assert found.meta["default"] == {"a": [1]}
    assert "space" not in found.meta


@pytest.mark.parametrize("name", [*WRAPPERS, "pan", "backbone", "whatever"])
def test_wrappers(name, tmp_path):
    beside = {"optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}, "epoch": 1}
    torch.save({name: STATE, **beside}, tmp_path / "a.pth")
    same(tmp_path / "a.pth")
    torch.save({"checkpoint": {name: {"state_dict": STATE}}}, tmp_path / "a.pth")
    same(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "net.", "module._orig_mod.", "model.net.module."]
)
def test_prefixes_and_counters(prefix, tmp_path):
    state = {prefix + key: value for key, value in STATE.items()}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    same(tmp_path / "a.pth")
    torch.save({**state, "n_averaged": torch.tensor(3)}, tmp_path / "a.pth")
    same(tmp_path / "a.pth")


def test_the_weights_are_taken_before_their_average_and_the_average_is_told(tmp_path):
    average = {key: value + 1 for key, value in STATE.items()}
    torch.save({"ema": average, "model": STATE}, tmp_path / "a.pth")
    assert same(tmp_path / "a.pth").others == ["ema"]


@pytest.mark.filterwarnings("ignore")
def test_kinds_of_tensors(tmp_path):
    path = tmp_path / "a.pth"
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        torch.save({key: value.to(kind) for key, value in STATE.items()}, path)
        same(path)
    torch.save({key: value.to_sparse() for key, value in STATE.items()}, path)
    same(path)
    torch.save({key: nn.Parameter(value) for key, value in STATE.items()}, path)
    same(path)
    shared = torch.zeros(4)
    torch.save({"a.x": shared[:2], "a.y": shared[2:], "a.z": shared}, path)
    assert len(Checkpoint.open(path).state) == 3
    torch.save({key: value.to("meta") for key, value in STATE.items()}, path)
    refused(path, r"conv\.weight is on the meta device")
    torch.save({key: value.to(torch.complex64) for key, value in STATE.items()}, path)
    refused(path, r"conv\.weight is complex64")
    quantised = torch.quantize_per_tensor(STATE["conv.weight"], 0.1, 0, torch.qint8)
    torch.save({**STATE, "conv.weight": quantised}, path)
    refused(path, r"conv\.weight is qint8")


def test_whole_modules_and_lists_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(nn.Linear(3, 2), path)
    refused(path, r"holds an object of 'torch\.nn\.modules\.linear\.Linear'.*torch\.save")
    torch.save(list(STATE.values()), path)
    refused(path, "holds a list, not weights by name")
    torch.save(types.SimpleNamespace(state_dict=STATE), path)
    refused(path, "holds an object, not weights by name")
    path.write_bytes(pickle.dumps(STATE))
    refused(path, "holds an object of 'torch")
    torch.save(STATE, path, pickle_protocol=4)
    refused(path, "pickle_protocol=2")
