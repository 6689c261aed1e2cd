"""What README and docs show: their Python runs, their YAML opens, their commands are understood.

Blocks of Python run in order, one namespace and one folder for a page. A block behind a comment
`<!-- not run: reason -->` does not run; a list below names every one of them.
"""

import contextlib
import io
import itertools
import os
import re
import shlex
import warnings
from pathlib import Path

import jsonargparse
import pytest
import torch
import yaml
from PIL import Image

from pixelwise.cli.main import COMMANDS, main
from pixelwise.data.opening import open_data
from pixelwise.layers.registry import available
from pixelwise.networks.registry import names as networks
from pixelwise.train.presets import preset_file

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(READMES := (ROOT / "README.md", ROOT / "README.zh.md")),
        ROOT / "AGENTS.md",
        ROOT / "skills/pixelwise/SKILL.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs/guides").glob("*.md"),
    ]
)
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>.*)\n", re.MULTILINE)
INLINE = re.compile(r"`(pixelwise [a-z]+(?: [^`]*)?)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
OTHER_PROGRAMS = ("git", "pip", "pytest", "python", "srun", "torchrun", "uv")
"""What a shell block may call beside `pixelwise`; these lines are not tried."""
GENERATED = ("gallery/", "reference/", "notebooks/", "errors.md")
"""Pages that are made when the site is built; that looks at links to them."""
NOT_RUN = (
    ("docs/checkpoints.md", "needs a checkpoint file"),
    ("docs/export.md", "exports for a minute"),
    ("docs/faq.md", "needs ultralytics"),
    ("docs/guides/insertion.md", "trains a network"),
    ("docs/publishing.md", "needs an account"),
    ("docs/transformers.md", "needs accelerate"),
    ("docs/ultralytics.md", "trains a network"),
    ("docs/ultralytics.md", "trains a network"),
    ("docs/ultralytics.md", "trains a network"),
)
"""Page and reason of each block that does not run; keep it short."""

PACKAGES = {"docs/lightning.md": "lightning", "docs/monai.md": "monai"}
"""What a page is about, where it is no dependency; the page runs if it is installed."""
BEFORE = {
    "docs/explain.md": """
import torch, pixelwise
model = pixelwise.create_model("danet", backbone="test_resnet", num_classes=3)
image = torch.randn(1, 3, 224, 288)
""",
    "docs/insert.md": """
import timm, torch
other_host, fresh = timm.create_model("resnet50"), timm.create_model("resnet50")
checkpoint = other_host.state_dict()
""",
    "docs/onnx.md": """
import numpy, onnx, pixelwise.predict, rasterio
from pathlib import Path
from pixelwise.export.metadata import About, write
from pixelwise.networks.config import ModelConfig
text = '<ir_version: 9, opset_import: ["" : 18]> net (float[n,3,h,w] image)' \\
    ' => (float[n,2,h,w] logits) <float[2,3,1,1] w = {1, 0, -1, 0, 1, 0}>' \\
    ' { logits = Conv(image, w) }'
for name in ("street.onnx", "other.onnx"):
    onnx.save(onnx.parser.parse_model(text), name)
write(Path("street.onnx"), About(ModelConfig("fcn", "resnet18", num_classes=2)))
place = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 20000)
with rasterio.open("in.tif", "w", width=90, height=80, count=3, dtype="uint8",
                   crs="EPSG:32636", transform=place) as file:
    file.write(numpy.random.default_rng(0).integers(0, 255, (3, 80, 90), dtype="uint8"))
""",
}
"""Stand-ins for what only a reader has, by page."""


def label(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page):
    """Language, text and reason not to run of each fenced block of a page."""
    text = page.read_text(encoding="utf-8")
    found, start = [], 0
    while (opening := BLOCK.search(text, start)) is not None:
        end = text.index("\n```", opening.end() - 1)
        found.append((opening["language"], text[opening.end() : end + 1], opening["reason"]))
        start = end + 4
    return found


def of_language(language):
    return [page for page in PAGES if any(block[0] == language for block in blocks(page))]


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """A folder as docs/data.md describes it, one small picture in each split."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val", "test"):
        of_labels = [(f"masks/{label}", "L") for label in ("road", "marking", "shadow")]
        for kind, mode in (("images", "RGB"), ("masks", "L"), *of_labels):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            Image.new(mode, (8, 8)).save(folder / "one.png")
    for name in ("ortho", "ortho_classes", "west"):  # of docs/raster-data.md
        mode = "L" if name.endswith("classes") else "RGB"
        Image.new(mode, (1024, 1024)).save(tmp_path / f"{name}.tif", compression="tiff_deflate")
    (tmp_path / "buildings.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties":'
        ' {"kind": "house"}, "geometry": {"type": "Polygon", "coordinates":'
        " [[[5, 5], [90, 5], [90, 90], [5, 5]]]}}]}"
    )
    return tmp_path


def test_every_block_says_its_language_and_those_that_do_not_run_are_listed():
    languages = {(label(page), block[0]) for page in PAGES for block in blocks(page)}
    assert {language for _, language in languages} <= {"python", "sh", "text", "yaml"}, languages
    skipped = [(label(page), block[2]) for page in PAGES for block in blocks(page) if block[2]]
    assert tuple(skipped) == NOT_RUN


@pytest.mark.parametrize("page", of_language("python"), ids=label)
def test_python_runs(page, tmp_path, monkeypatch):
    if label(page) in PACKAGES:
        pytest.importorskip(PACKAGES[label(page)])
        warnings.simplefilter("ignore")  # the other package's own; undone after the test
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    namespace = {}
    exec(BEFORE.get(label(page), ""), namespace)
    shown = blocks(page)
    for (language, text, reason), after in zip(shown, [*shown[1:], ("", "", None)], strict=True):
        if language != "python" or reason:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, label(page), "exec"), namespace)
        if after[0] == "text":  # what the block prints; "..." stands for lines left out
            lines = printed.getvalue().splitlines()
            missing = [
                line
                for line in after[1].splitlines()
                if line.strip() != "..." and line.rstrip() not in map(str.rstrip, lines)
            ]
            assert not missing, printed.getvalue()


@pytest.mark.parametrize("page", of_language("yaml"), ids=label)
def test_yaml_is_read(page, data_folder):
    for language, text, reason in blocks(page):
        if language != "yaml" or reason:
            continue
        content = yaml.safe_load(text)
        assert isinstance(content, dict)
        if "names" in content:
            (data_folder / "data.yaml").write_text(text, encoding="utf-8")
            source = open_data("data.yaml")
            assert {"train", "val"} <= set(source.splits)
            assert len(source.classes) == len(content["names"])
            assert len(source.split("train")) == (6 if "rasters" in content else 1)


class Understood(BaseException):
    """Raised in place of running a command whose words were understood."""


@pytest.fixture
def understood(monkeypatch):
    """Words of a command -> what its own parser makes of them; nothing runs."""
    parse = jsonargparse.ArgumentParser.parse_args

    def stop(parser, *args, **kwargs):
        raise Understood(parse(parser, *args, **kwargs))

    def words(given):
        with monkeypatch.context() as patch:
            patch.setattr(jsonargparse.ArgumentParser, "parse_args", stop)
            try:
                code = main([*given, "--debug"])
            except Understood as found:
                return found.args[0]
        pytest.fail(f"pixelwise {shlex.join(given)}: not understood, exit code {code}")

    return words


def commands(page):
    """The words of each command: in the shell blocks of a page, and in its sentences."""
    for language, text, reason in blocks(page):
        if language == "sh" and not reason:
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                for joined, part in itertools.groupby(words, lambda word: word == "&&"):
                    if not joined:
                        yield list(part)
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for found in INLINE.finditer(prose):
        if "..." not in found[1]:
            yield shlex.split(found[1])


@pytest.mark.parametrize("page", [p for p in PAGES if list(commands(p))], ids=label)
def test_commands_are_understood(page, understood):
    for program, *words in commands(page):
        if program != "pixelwise":
            assert program in OTHER_PROGRAMS, program
        elif len(words) == 1 or words[1:] == ["--help"]:  # a name in a sentence
            assert words[0] in COMMANDS
        else:
            found = understood(words)
            if getattr(found, "preset", None):
                room = "compare" if words[0] == "compare" else "train"
                assert Path(preset_file(found.preset, f"pixelwise.{room}")).is_file()


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_links_and_named_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        place = os.path.normpath(page.parent / link)
        if not place.startswith(tuple(str(ROOT / "docs" / name) for name in GENERATED)):
            assert Path(place).exists(), link
    for name in re.findall(r"`((?:src|tests|studies|docs)/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_index_leads_to_every_page():
    links = set(LINK.findall((ROOT / "docs/index.md").read_text(encoding="utf-8")))
    folders = [ROOT / "docs" / name for name in (".", "decisions", "guides")]
    written = [page for folder in folders for page in folder.glob("*.md")]
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in written}
    assert pages - {"index.md"} <= links


@pytest.mark.parametrize("names", [available, networks], ids=["layers", "networks"])
def test_readme_and_catalogue_name_everything(names):
    for page in ("README.md", "README.zh.md", "docs/catalogue.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert not [name for name in names() if f"`{name}`" not in text], page


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("layers.md", available),
        ("receptive-fields.md", available),
        ("networks.md", networks),
        ("tasks.md", networks),
    ],
)
def test_tables_that_runs_write_leave_nothing_out(page, names):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert not [name for name in names() if f"\n| `{name}` |" not in text]


@pytest.mark.parametrize("readme", READMES, ids=label)
def test_readme_is_short(readme):
    text = readme.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    rows = [
        len(table.splitlines()) - 2 for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]
    assert max(rows) <= 10


def test_both_readmes_say_the_same():
    english, chinese = READMES
    code = [
        [(language, re.sub(r" *#.*", "", text)) for language, text, _ in blocks(page)]
        for page in READMES
    ]
    assert code[0] == code[1]
    links = [
        set(LINK.findall(page.read_text(encoding="utf-8"))) - {"README.md", "README.zh.md"}
        for page in READMES
    ]
    assert links[0] == links[1]
    headings = [
        len(re.findall(r"^#+ ", page.read_text(encoding="utf-8"), re.MULTILINE)) for page in READMES
    ]
    assert headings[0] == headings[1]
    assert f"({chinese.name})" in english.read_text(encoding="utf-8")
    assert f"({english.name})" in chinese.read_text(encoding="utf-8")
