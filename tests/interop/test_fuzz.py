"""Checkpoints and descriptions, mutated at random: a network of the right numbers, or one line."""

import json
import pickle

import numpy as np
import pytest
import torch
from files import narrow, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import WRAPPERS, Checkpoint
from pixelwise.interop.convert import import_checkpoint
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import load

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
COUNTS = {"right": 0, "InputError": 0}
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
STATE = {"a.weight": torch.arange(12.0).view(3, 4), "a.bias": torch.ones(3), "b.c": torch.ones(())}


def fuzz(cases):
    return settings(
        max_examples=cases, derandomize=True, deadline=None, suppress_health_check=QUIET
    )


def outcome(call, check):
    """Count a right result or a one-line refusal; anything else fails the test."""
    found, refusal = None, ""
    try:
        found = call()
    except InputError as error:
        refusal = str(error)
    if found is not None:
        check(found)
    assert "\n" not in refusal
    COUNTS["InputError" if refusal else "right"] += 1


@pytest.fixture(scope="module", autouse=True)
def told():
    yield
    print(f"\ncases: {COUNTS}, anything else: 0")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    torch.save({"state_dict": STATE, "epoch": 3}, folder / "new.pth")
    torch.save(STATE, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(STATE, folder / "a.safetensors")
    arrays = {key: value.numpy() for key, value in STATE.items()}
    (folder / "a.pkl").write_bytes(pickle.dumps(arrays, 4))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def nothing(found):
    assert isinstance(found, Checkpoint)


@fuzz(1500)
@given(data=st.data())
def test_bytes(data, written, tmp_path):
    """Bytes changed, cut out, doubled, or the end missing; numbers alone may come out changed."""
    name = data.draw(st.sampled_from(sorted(written)))
    content = bytearray(written[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        kind = data.draw(st.sampled_from(("change", "cut", "double", "end")))
        if kind == "change" and content:
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 64))]
        elif kind == "double":
            content[at:at] = content[at : at + data.draw(st.integers(1, 64))]
        else:
            del content[at:]
    (tmp_path / name).write_bytes(content)
    outcome(lambda: Checkpoint.open(tmp_path / name), nothing)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(lambda n: torch.ones(n), st.integers(0, 3)),
    st.builds(lambda n: np.ones(n, "f4"), st.integers(0, 3)),
)
NAMES = st.one_of(
    st.sampled_from([*WRAPPERS, "optimizer", "ema"]), st.text(max_size=4), st.integers()
)
CONTENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=4),
        st.tuples(inner, inner),
    ),
    max_leaves=12,
)


@fuzz(500)
@given(content=CONTENTS)
def test_contents(content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    outcome(lambda: Checkpoint.open(tmp_path / "a.pth"), nothing)


@fuzz(300)
@given(data=st.data())
def test_wrappers_prefixes_and_company(data, tmp_path):
    """However the weights are wrapped and whatever lies beside, they are the weights."""
    prefix = "".join(
        data.draw(st.lists(st.sampled_from(("module.", "model.", "net.")), max_size=3))
    )
    content = {prefix + key: value for key, value in STATE.items()}
    for name in data.draw(st.lists(st.sampled_from(WRAPPERS), max_size=3)):
        beside = data.draw(st.dictionaries(st.sampled_from(("epoch", "lr", "best")), LEAVES))
        content = {name: content, **beside, "optimizer": {"state": {0: torch.ones(2)}}}
    torch.save(content, tmp_path / "a.pth")
    found = Checkpoint.open(tmp_path / "a.pth").state
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in STATE.items()}
    COUNTS["right"] += 1


@fuzz(60)
@given(data=st.data())
def test_tensors(data, tmp_path):
    """Keys, shapes and types of a network's tensors changed."""
    state = numbers(narrow("fcn_r50-d8"))
    for _ in range(data.draw(st.integers(0, 2))):
        key = data.draw(st.sampled_from(sorted(state)))
        kind = data.draw(
            st.sampled_from(("drop", "rename", "shape", "half", "double", "int", "nan"))
        )
        value = state[key]
        if kind == "drop":
            del state[key]
        elif kind == "rename":
            state[data.draw(st.text(max_size=8)) + key] = state.pop(key)
        elif kind == "shape":
            state[key] = torch.cat([value.flatten(), torch.ones(1)])
        elif kind == "nan" and value.is_floating_point() and value.ndim:
            state[key] = value * torch.nan
        else:
            types = {"half": torch.float16, "double": torch.float64, "int": torch.int8}
            state[key] = value.to(types.get(kind, value.dtype))
    torch.save(state, tmp_path / "a.pth")

    def check(found):
        weight = found.model.backbone.body.conv1[0].weight
        assert torch.isfinite(torch.cat([p.flatten() for p in found.model.parameters()])).all()
        given = state["backbone.stem.0.weight"]
        torch.testing.assert_close(weight, given.float())

    outcome(lambda: import_checkpoint(tmp_path / "a.pth"), check)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(-3, 300), st.floats(), st.text(max_size=2)), max_size=4),
    st.dictionaries(st.text(max_size=6), st.integers(-2, 9), max_size=2),
)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    model = create_model("fcn", "test_resnet", num_classes=3, names=("a", "b", "c"), width=8)
    model.save_pretrained(folder)
    return folder, json.loads((folder / "config.json").read_text()), model.state_dict()


@fuzz(300)
@given(data=st.data())
def test_descriptions(data, described):
    """Entries of a config.json changed, left out or added; what loads has the saved weights."""
    folder, entries, state = described
    found = dict(entries)
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(entries)))
        kind = data.draw(st.sampled_from(("change", "change", "change", "drop", "add")))
        if kind == "change":
            found[name] = data.draw(VALUES)
        elif kind == "drop":
            found.pop(name, None)
        else:
            found[data.draw(st.text(max_size=6))] = data.draw(VALUES)
    (folder / "config.json").write_text(json.dumps(found))

    def check(model):
        assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
        config = model.config
        assert config.scale > 0
        assert min(config.std) > 0
        assert config.num_classes == 3
        assert len(config.mean) == config.in_channels == 3

    outcome(lambda: load(folder), check)
