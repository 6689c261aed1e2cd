"""One reader of YAML: what people write is read as they mean it, or refused with file and line."""

import pytest
import yaml

from pixelwise.errors import InputError
from pixelwise.yaml_files import read, to_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("2.0", 2.0), ("-1", -1), ("+.5", 0.5), ("0x1f", 31),
        ("yes", True), ("off", False), ("'no'", "no"), ("yes please", "yes please"),
        ("2024-01-01", "2024-01-01"), ("1:30", "1:30"), ("007", "007"), ("1_000", "1_000"),
        ("~", None), ("", None), ("=", "="), ("道路", "道路"),
        ("[1, 2]", [1, 2]), ("{3: gc}", {3: "gc"}), (".inf", float("inf")),
    ],
)  # fmt: skip
def test_plain_words(tmp_path, text, value):
    file = tmp_path / "a.yaml"
    file.write_text(f"a: {text}\n", encoding="utf-8")
    assert read(file) == {"a": value}


def test_marks_and_line_ends_of_other_systems(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes("\ufeffa: 1\r\nb: [x]\r\n".encode())
    assert read(file) == {"a": 1, "b": ["x"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3: 'a' stands in line 1 already; keep one"),
        (b"m: {a: 1, 'a': 2}", "line 1: 'a' stands in line 1 already"),
        (b"1: a\ntrue: b\n", "line 2: 'true' stands in line 1 already"),
        (b"a:\n\t- 1\n", "line 2: cannot be read as YAML (a tab); indent with spaces"),
        (b"a: [1, 2", "line 1: cannot be read as YAML"),
        (b"a: &x [*x]", "line 1: *x points to another value"),
        (b"a: !!python/object:os.system x", "line 1: has a tag"),
        (b"a: 1\n---\nb: 1\n", "line 2: cannot be read as YAML"),
        (b"? [1]\n: 2\n", "line 1: cannot be read as YAML (found unhashable key)"),
        (b"a: " + b"1" * 5000, "cannot be read as YAML (Exceeds the limit"),
        (b"a: {" * 3000, "write fewer levels"),
        (b"a: \0", "unacceptable character"),
        (b"\xff\xfea\0", "not text in UTF-8 (byte 0)"),
        (b"", "has no `key: value` lines; write names"),
        (b"- a\n- b\n", "has no `key: value` lines"),
    ],
)
def test_what_is_refused_names_file_and_line(tmp_path, content, told):
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read(file, "write names")
    assert str(refused.value).startswith(f"{file}: ")
    assert told in str(refused.value)


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)


def test_what_is_written_is_read_back_here_and_by_others(tmp_path):
    values = {
        "name": "12e4",
        "b": "no",
        "c": "2024-01-01",
        "d": "007",
        "e": 1e-8,
        "中": [True, None],
    }
    file = tmp_path / "a.yaml"
    file.write_text(to_text(values), encoding="utf-8")
    assert read(file) == values
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == values
