"""The pages in Chinese: complete, faithful to the English ones, and in the terms of the glossary.

Quick tests read the committed catalogues. The slow one builds the messages of all pages anew and
compares: a page that changed must have its catalogue renewed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the packages of pixelwise[docs]")
from building import catalogues
from building.catalogues import apply, check, missing, name, pages, read, update, write
from building.wording import Term, faults, glossary, needs_translation

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_chinese_without_faults_and_by_the_glossary():
    assert len(pages()) > 60
    assert [line for page in pages() for line in check(page)] == []


def test_the_catalogues_have_no_places_dates_guesses_and_leftovers():
    for file in catalogues.FOLDER.rglob("*.po"):
        comments = [line for line in file.read_text("utf-8").splitlines() if line[:1] == "#"]
        assert comments == [], file


@pytest.mark.parametrize(
    "message",
    [
        "`psa_s`, `psa_p`",
        "3.4e-07",
        "512x1024",
        "0.25 +- 0.1 MB",
        "ResNet-50, HRNet",
        "timm 1.0.31",
        "vit_small_patch16_224",
        "pixelwise train",
        "[Dual Attention Network for Scene Segmentation](https://arxiv.org/abs/1809.02983)",
        "![A scene with a boat](pictures/explain.png)",
        "[`FILE: must be there`]{#error-must-be-there-1a2b3}",
        "$x_i + y$",
    ],
)
def test_what_stays_as_it_is(message):
    assert not needs_translation(message)


@pytest.mark.parametrize(
    "message",
    [
        "layers",
        "Where does a pixel look?",
        "`psa_s` and `psa_p`",
        "95 % interval",
        "[Names](names.md)",
        "timm features of a network",
        "a ResNet of depth 50",
    ],
)
def test_what_needs_chinese(message):
    assert needs_translation(message)


MESSAGE = "See [names](names.md) and `--at`: **one** of 24 networks is 0.5 % slower."


@pytest.mark.parametrize(
    ("chinese", "fault"),
    [
        ("见[名称](names.md)和 `--at`：24 个网络中**有一个**慢 0.5%。", None),
        ("见名称和 `--at`：24 个网络中有一个慢 0.5%。", "names.md"),
        ("见[名称](names.md)和 --at：24 个网络中有一个慢 0.5%。", "`--at`"),
        ("见[名称](names.md)和 `--at`，`--at`：24 个网络中有一个慢 0.5%。", "added"),
        ("见[名称](names.md)和 `--at`：25 个网络中有一个慢 0.5%。", "numbers are lost: ['24']"),
        ("见[名称](names.md)和 `--at`：24 one of them is slower 0.5%。", "English is left"),
        ("See [names](names.md), `--at` 24 0.5.", "no Chinese"),
        ("见[名称](names.md)和 `--at`，24 个, 慢 0.5%。", "half width"),
        ("见[名称](names.md)和 `--at`：24 个，**慢 0.5。**其余不变。", "does not end"),
    ],
)
def test_faults_of_a_translation(chinese, fault):
    found = faults(MESSAGE, chinese)
    if fault is None:
        assert found == []
    else:
        assert any(fault in line for line in found), found


def test_what_programs_print_and_names_of_terms_may_stay_english():
    quoted = 'It says "the device ran out of memory": why?'
    assert faults(quoted, "报错 “the device ran out of memory”：为什么？") == []
    assert faults("Why is it so?", "报错 “the device ran out of memory”？") != []
    term = "mixed local channel attention (2023)"
    assert faults(term, "混合局部通道注意力（mixed local channel attention，2023）") == []


def test_a_term_has_its_chinese_unless_the_glossary_excepts_it():
    term = Term("mask", ("掩码", "遮罩"), None, guide=False)
    assert term.missed("Masks of two images", "两张图像的标注")
    assert not term.missed("Masks of two images", "两张图像的遮罩")
    assert not term.missed("It is unmasked: `mask`", "没有屏蔽：`mask`")
    terms = {term.english: term for term in glossary()}
    assert len(terms) > 150
    assert terms["attention"].missed("attention maps", "图")
    assert not terms["attention"].missed("an Attention U-Net", "一个 U-Net")
    assert not terms["head"].missed("a head", "无")  # a guide only


def test_the_glossary_names_each_term_once():
    english = [term.english for term in glossary()]
    assert len(english) == len(set(english))


def test_catalogues_follow_the_pages(tmp_path):
    folder, templates = tmp_path / "zh", tmp_path / "templates"
    write(folder / "a.po", {"One layer": "一个层", "Gone": "没了"})
    write(folder / "old.po", {"Three": "三"})
    write(templates / "a.pot", {"One layer": "", "New": ""})
    write(templates / "guides" / "b.pot", {"One layer": ""})
    write(templates / "changelog.pot", {"English": ""})
    assert update(templates, folder) == ["a", "guides/b", "old"]
    assert pages(folder) == ["a", "guides/b"]
    assert read(folder / "a.po") == {"One layer": "一个层", "New": ""}
    assert read(folder / "guides/b.po") == {"One layer": "一个层"}
    assert update(templates, folder) == []
    assert missing("a", folder) == ["New"]


def test_only_good_translations_are_taken(tmp_path):
    write(tmp_path / "a.po", {"A `key`": "", "Two": ""})
    refused = apply("a", {name("A `key`"): "一个键", "Two": "二", "Absent": "无"}, tmp_path)
    assert len(refused) == 2
    assert read(tmp_path / "a.po") == {"A `key`": "", "Two": "二"}


@pytest.mark.slow
def test_the_catalogues_are_in_step_with_the_pages(built, tmp_path):
    renewed = (
        "from pathlib import Path; from building import catalogues, places;"
        "catalogues.extract(places.SOURCE, Path('templates').resolve())"
    )
    paths = os.pathsep.join([str(ROOT / "docs"), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", renewed],
        env=os.environ | {"PIXELWISE_DOCS_BUILD": str(built), "PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    templates = tmp_path / "templates"
    hint = "python docs/build.py --update-catalogues"
    found = catalogues.templates_of(templates)
    assert sorted(found) == pages(), hint
    for page in found:
        assert spoken(templates / f"{page}.pot") == spoken(catalogues.FOLDER / f"{page}.po"), hint


def spoken(file):
    """The messages of a file that have words to translate."""
    return [message for message in read(file) if needs_translation(message)]
