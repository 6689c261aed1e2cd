"""What a run wrote of itself, edited by hand or damaged: one line that names the file."""

import dataclasses
import json

import pytest

from pixelwise.errors import InputError
from pixelwise.train.record import Record, compare
from pixelwise.train.saved import naming_settings, read_settings
from pixelwise.yaml_files import to_text

WHOLE = {
    "settings": {"steps": 4},
    "classes": ["road", "car"],
    "values": "0 1",
    "files": {"train/a.png": [100, 7]},
    "task": "multiclass",
}


def write(folder, content):
    (folder / "record.json").write_text(json.dumps(content), encoding="utf-8")


def test_what_was_written_is_read(tmp_path):
    write(tmp_path, WHOLE)
    record = Record.load(tmp_path)
    assert record.classes == ("road", "car")
    assert record.files == {"train/a.png": (100, 7)}
    record.save(tmp_path)
    assert Record.load(tmp_path) == record


def test_a_record_of_an_older_version_names_no_task(tmp_path):
    write(tmp_path, {name: value for name, value in WHOLE.items() if name != "task"})
    assert Record.load(tmp_path).task == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[1]", b"null", b"3", b"\0" * 99, b"[" * 9999],
    ids=["empty", "cut", "not text", "list", "null", "number", "zeros", "deep"],
)
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(InputError, match=r"record\.json: .*; bring it back, or remove it") as error:
        Record.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["settings", "classes", "values", "files"])
@pytest.mark.parametrize("value", [None, 3, "x", [], [1], {"a": 1}, {"a": ["b"]}, True])
def test_entries_of_another_kind_are_refused(tmp_path, name, value):
    right = {"settings": dict, "classes": list, "values": str, "files": dict}[name]
    write(tmp_path, WHOLE | {name: value})
    if isinstance(value, right) and value not in ([1], {"a": 1}, {"a": ["b"]}):
        assert Record.load(tmp_path) is not None
        return
    if name == "settings" and isinstance(value, dict):
        return
    with pytest.raises(InputError, match=rf"record\.json: {name} is not as the run wrote it; "):
        Record.load(tmp_path)


def test_a_folder_or_a_link_in_its_place(tmp_path):
    (tmp_path / "record.json").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"record\.json: cannot be read"):
        Record.load(tmp_path)
    (tmp_path / "record.json").unlink()
    (tmp_path / "record.json").mkdir()
    with pytest.raises(InputError, match=r"record\.json: cannot be read"):
        Record.load(tmp_path)


def test_a_record_that_is_missing_is_told(tmp_path):
    now = Record({"steps": 4}, ("road",), "", {}, "multiclass")
    told = compare(tmp_path, now, trained=False, accept=False)
    assert "record.json is missing, so nothing tells what changed" in told


def test_values_of_settings_are_told_with_their_file(tmp_path):
    told = r"config\.yaml: class='a': unknown"
    with pytest.raises(InputError, match=told), naming_settings(tmp_path):
        raise InputError("class='a': unknown class in balance; known: road")
    with pytest.raises(InputError, match=r"^mask\.png: holds"), naming_settings(tmp_path):
        raise InputError("mask.png: holds 7; map it")


@pytest.mark.parametrize("name", ["model_options", "backbone_options", "task_options"])
def test_options_have_names(tmp_path, name):
    (tmp_path / "config.yaml").write_text(to_text({"data": "scenes", name: {1: [2]}}))
    with pytest.raises(InputError, match=rf"config\.yaml: {name}=.*: must have names as keys; "):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"files": {"train/a.png": (100, 8)}}, "1 masks were edited: train/a.png"),
        ({"files": {"train/a.png": (99, 7)}}, "1 pictures were edited: train/a.png"),
        ({"files": {}}, "1 pictures are gone: train/a.png"),
        (
            {"files": {"train/a.png": (100, 7), "val/b.png": (1, 2)}},
            "1 pictures are new: val/b.png",
        ),
        ({"values": "1 0"}, "values are read otherwise"),
        ({"classes": ("car", "road")}, "the classes were road, car and are car, road now"),
    ],
)
def test_changed_data_is_refused_where_there_are_weights_unless_accepted(tmp_path, change, told):
    write(tmp_path, WHOLE)
    now = dataclasses.replace(Record.load(tmp_path), **change)
    with pytest.raises(InputError, match="--accept-changes") as error:
        compare(tmp_path, now, trained=True, accept=False)
    assert told in str(error.value)
    assert told in compare(tmp_path, now, trained=True, accept=True)


def test_settings_that_were_edited_are_told(tmp_path):
    write(tmp_path, WHOLE)
    now = dataclasses.replace(Record.load(tmp_path), settings={"steps": 9})
    told = compare(tmp_path, now, trained=True, accept=False)
    assert "steps was 4 and is 9 now" in told
