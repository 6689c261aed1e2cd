"""A config.json that somebody edited: the network it tells, or one line with file and entry."""

import json
import math
import re

import pytest

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import load


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model = create_model(
        "danet",
        "test_resnet",
        num_classes=3,
        in_channels=2,
        attention="gc(reduction=8)@3",
        names=("a", "b", "c"),
        palette=((0, 0, 0), (1, 2, 3), (4, 5, 6)),
        mean=(0.1, 0.2),
        std=(0.3, 0.4),
        scale=65535.0,
        bands=(3, 0),
        width=16,
    )
    model.save_pretrained(folder)
    return folder, json.loads((folder / "config.json").read_text())


def refusal(saved, text):
    folder, found = saved
    file = folder / "config.json"
    file.write_text(text)
    try:
        with pytest.raises(InputError) as told:
            load(folder)
    finally:
        file.write_text(json.dumps(found))
    message = str(told.value)
    assert "\n" not in message
    assert "config.json" in message
    return message


ENTRIES = (
    *("arch", "backbone", "num_classes", "in_channels", "task", "output_stride", "attention"),
    *("convolution", "multi_grid", "backbone_options", "options", "align_corners", "insert"),
    *("names", "palette", "ignore_index", "mean", "std", "scale", "bands"),
)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_left_out(saved, name):
    left = {key: value for key, value in saved[1].items() if key != name}
    assert f"{name} is missing" in refusal(saved, json.dumps(left))


WRONG = {"text": "x y", "number": 1.5, "list": [["z"]], "mapping": {"q": 1}, "true": True}
TAKEN = {
    ("scale", "number"),
    ("align_corners", "true"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_another_type(saved, name, kind):
    if (name, kind) in TAKEN:
        return
    assert name in refusal(saved, json.dumps(saved[1] | {name: WRONG[kind]}))


@pytest.mark.parametrize(
    "name", sorted(set(ENTRIES) - {"output_stride", "multi_grid", "align_corners"})
)
def test_an_entry_that_is_null(saved, name):
    if name == "bands":
        return
    assert name in refusal(saved, json.dumps(saved[1] | {name: None}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arch", "danett"),
        ("backbone", "resnet5000"),
        ("backbone", ""),
        ("num_classes", 10**9),
        ("num_classes", 0),
        ("num_classes", -3),
        ("num_classes", 10**400),
        ("in_channels", 0),
        ("in_channels", 10**9),
        ("task", "segmentation"),
        ("task", "binary"),
        ("output_stride", 7),
        ("output_stride", -8),
        ("attention", "gc(reduction=0)@3"),
        ("attention", "nobody@3"),
        ("attention", "gc@9"),
        ("convolution", "spd@"),
        ("multi_grid", [0, -1, 2]),
        ("multi_grid", []),
        ("multi_grid", [10**9, 1, 1]),
        ("backbone_options", {"nonsense": 1}),
        ("options", {"width": "16"}),
        ("options", {"width": 0}),
        ("options", {"width": 10**9}),
        ("options", {"auxiliary": "no"}),
        ("options", {"nonsense": 1}),
        ("insert", [{"layer": "gc"}]),
        ("names", ["a", "b"]),
        ("names", ["a", "b", "a"]),
        ("names", ["a", "b", 3]),
        ("palette", [[0, 0, 0]]),
        ("palette", [[0, 0, 0], [1, 1, 1], [256, 0, 0]]),
        ("palette", [[0, 0, 0], [1, 1, 1], [0, 0, -1]]),
        ("palette", [[0, 0], [1, 1], [2, 2]]),
        ("ignore_index", 10**9),
        ("mean", [0.1]),
        ("mean", [math.nan, 0.1]),
        ("mean", [10**400, 0.1]),
        ("std", [0, 0.1]),
        ("std", [-1, 0.1]),
        ("std", [math.inf, 0.1]),
        ("std", ["0.1", 0.1]),
        ("scale", -3),
        ("scale", 0),
        ("scale", math.inf),
        ("scale", "255"),
        ("bands", [0]),
        ("bands", [0, 0]),
        ("bands", [-1, 0]),
        ("bands", [0, 10**9]),
        ("options", {"width": math.nan}),
        ("classes", 3),
    ],
)
def test_an_entry_out_of_range(saved, name, value):
    assert name in refusal(saved, json.dumps(saved[1] | {name: value}))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ("[1]", "must be a mapping"),
        ("null", "must be a mapping"),
        ('"danet"', "must be a mapping"),
        ("[" * 100_000, "is not JSON"),
        ('{"arch": "fcn", "arch": "danet"}', "'arch' stands there twice"),
        ("\x00", "is not JSON"),
    ],
)
def test_text_that_is_no_description(saved, text, told):
    assert told in refusal(saved, text)


def test_files_too_many_and_too_few(saved, tmp_path):
    folder, _ = saved
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "model.safetensors.bak").write_bytes(b"0")
    assert load(tmp_path).config.num_classes == 3
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: no model.safetensors in it")):
        load(tmp_path)


def test_a_network_that_was_saved_by_the_version_before(saved):
    """It wrote plans as mappings and has no entries that came later."""
    folder, found = saved
    older = {name: found[name] for name in ENTRIES} | {
        "attention": {"stage3": ["gc", {"reduction": 8}]},
        "convolution": {},
    }
    file = folder / "config.json"
    file.write_text(json.dumps(older))
    assert load(folder).config.attention == {"stage3": ("gc", {"reduction": 8})}
    file.write_text(json.dumps(found))
