"""Which language is spoken, and that its catalogue is whole."""

import pickle
import re
import runpy
import string
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise import language
from pixelwise.cli.main import COMMANDS, main
from pixelwise.cli.wrapping import wrapped
from pixelwise.language import Message, joined, message, speaking, spoken, translate

TOOL = Path(__file__).parents[1] / "docs" / "building" / "messages.py"
LEFT_OUT = {"{s}", "{verb}", "{are}"}
"""Of the English grammar: a plural's letter, and verbs that go with a number."""
NAMES = r"Hugging Face|OWNER/NAME|each stage|Parser key"
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(autouse=True)
def no_language(monkeypatch):
    for name in (language.VARIABLE, *language.SYSTEM):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "spoken"),
    [
        ({}, "en"),
        ({"PIXELWISE_LANG": "zh"}, "zh"),
        ({"PIXELWISE_LANG": "zh_CN"}, "zh"),
        ({"PIXELWISE_LANG": "zh-Hans"}, "zh"),
        ({"PIXELWISE_LANG": "ZH_CN.GBK"}, "zh"),
        ({"PIXELWISE_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"PIXELWISE_LANG": " ", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"PIXELWISE_LANG": "tlh", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "en_GB.UTF-8"}, "zh"),
        ({"LANGUAGE": "de:zh", "LANG": "de_DE.UTF-8"}, "zh"),
        ({"LANGUAGE": "en:zh", "LANG": "zh_CN"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_variables_choose(variables, spoken, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language.current() == spoken


def test_unknown_language_is_one_note(monkeypatch, capsys):
    monkeypatch.setenv("PIXELWISE_LANG", "tlh")
    assert main(["--version"]) == 0
    note = capsys.readouterr().err
    assert note == "note: PIXELWISE_LANG='tlh': unknown language, English is used; write en or zh\n"


def test_speaking_is_over_afterwards():
    with speaking("zh"):
        assert translate("Pictures") == "图像"
        with speaking("en"):
            assert translate("Pictures") == "Pictures"
        assert language.tag() == "zh-Hans"
    assert translate("Pictures") == "Pictures"


def test_message_is_english_for_programs_and_keeps_its_parts():
    told = message("{number} masks", number=3) + message("; borders are smeared")
    assert told == "3 masks; borders are smeared"
    assert spoken(told) == told
    with speaking("zh"):
        assert spoken(told) == "3 张掩码；边界被模糊了"
        assert spoken(pickle.loads(pickle.dumps(told))) == "3 张掩码；边界被模糊了"
        assert spoken("3 masks") == "3 masks"
        assert spoken("a: " + message("weight")) == "a: 权重"
        assert spoken(joined(message(" and "), ["a", message("weight")])) == "a、权重"
    assert isinstance(told + "", Message)


def test_catalogue_is_up_to_date_and_whole():
    pytest.importorskip("babel")
    tool = runpy.run_path(str(TOOL))
    made = tool["catalogue"]()
    text, compiled = tool["written"](made)
    hint = "run python docs/building/messages.py"
    assert tool["FILE"].read_bytes() == text, hint
    assert tool["FILE"].with_suffix(".mo").read_bytes() == compiled, hint
    assert [entry.id for entry in made if entry.id and not "".join(entry.string)] == []


def test_translations_keep_what_stands_in_texts():
    pofile = pytest.importorskip("babel.messages.pofile")
    tool = runpy.run_path(str(TOOL))
    with tool["FILE"].open("rb") as file:
        made = pofile.read_po(file, locale="zh")
    wrong = []
    for entry in made:
        english = entry.id if isinstance(entry.id, str) else entry.id[0]
        chinese = entry.string if isinstance(entry.string, str) else entry.string[0]
        fields = [set(re.findall(r"\{[^{}]*\}|%\(\w+\)s", said)) for said in (english, chinese)]
        if fields[1] - fields[0] or fields[0] - fields[1] - LEFT_OUT:
            wrong.append(english)
        for said in (english, chinese):
            if ".format" not in said and any(f"{{{name}}}" in said for name in ("s", "verb")):
                assert [*string.Formatter().parse(said)]
    assert wrong == []


@pytest.mark.parametrize("command", [*COMMANDS, "data import"])
def test_help_is_chinese(command, capsys, monkeypatch):
    monkeypatch.setenv("PIXELWISE_LANG", "zh")
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("用法：")
    assert all(language.cells(line) <= 100 for line in text.splitlines())
    told = re.sub(r"(?m)^  \S+", "|", text.split("\n\n", 1)[1])  # names of options
    told = re.sub(r"\s+", " ", told)
    told = re.sub(r"\[[^\]]*\]|'[^']*'|\{[^}]*\}|--[\w-]+|pixelwise [a-z-]+|" + NAMES, "|", told)
    assert re.findall(r"\b[a-z]{4,} [a-z]{4,}", told) == []
    for option in re.split(r"\n  (?=-)", text.partition("选项：")[2])[1:]:
        assert CHINESE.search(option), option


def test_list_of_commands_is_chinese(capsys, monkeypatch):
    monkeypatch.setenv("PIXELWISE_LANG", "zh")
    assert main([]) == 0
    told = capsys.readouterr().out
    assert "  train      在自己的图像上训练网络\n" in told
    told = re.sub(r"(?m)^  \S+|pixelwise [a-z ]+", "|", told)
    assert re.findall(r"[a-z]{4,} [a-z]{4,}", told) == []


def test_lists_of_layers_and_networks_are_chinese(capsys, monkeypatch):
    monkeypatch.setenv("PIXELWISE_LANG", "zh")
    for command in ("layers", "models"):
        assert main([command]) == 0
        lines = capsys.readouterr().out.splitlines()
        summaries = [line for line in lines if line.startswith("    ")]
        assert len(summaries) > 20
        assert all(CHINESE.search(line) for line in summaries)


@pytest.mark.parametrize(
    ("variables", "starts"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"usage: pixelwise COMMAND"),
        ({"PYTHONIOENCODING": "gbk"}, "用法：pixelwise COMMAND".encode("gbk")),
        ({"PYTHONIOENCODING": "utf-8"}, "用法：pixelwise COMMAND".encode()),
    ],
)
def test_terminals_of_other_encodings(variables, starts):
    source = str(Path(language.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "pixelwise"],
        env={"LANG": "zh_CN.GBK", "PYTHONPATH": source, **variables},
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(starts)
    assert (b"cannot hold the language's letters" in done.stderr) == starts.startswith(b"usage")


def test_lines_break_between_letters_but_not_before_marks():
    text = "输出文件夹；默认：runs/train/名称，或者别的文件夹。"
    lines = wrapped(text, 14)
    assert "".join(lines) == text
    assert all(language.cells(line) <= 14 or " " not in line for line in lines)
    assert not any(line[0] in "；：，。" for line in lines)
    assert wrapped("", 10) == [""]
    assert wrapped("averyverylongword next", 5) == ["averyverylongword", "next"]
