"""Random command lines, settings files and output folders: right, or one line.

Cases: 600 command lines, 600 mutations of a config.yaml, 600 files of bytes, 200 output folders.
"""

import contextlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixelwise.cli.main import COMMANDS, main
from pixelwise.errors import InputError
from pixelwise.outputs import Outputs
from pixelwise.settings import as_plain
from pixelwise.train.saved import read_settings
from pixelwise.train.settings import TrainSettings
from pixelwise.yaml_files import read, to_text

pytestmark = pytest.mark.slow
FIXED = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
FIELDS = list(TrainSettings.__dataclass_fields__)
ODD = [
    "", " ", "-", "--", "-x", "--x", "..", "/", "a b", "路面/图片.png", "naïve", "\udcff.png", "~",
    "a\nb", "*", "[", "file", "link", "loop", "folder", "dash/-n.png", "n" * 5000, "a/b", "model",
    "scenes:size=0", "1e-3", "nan", "inf", "-1", "2.0", "9" * 500, "no", "null", "scenes", "p.png",
    "{a: 1}", "[1, 2]", "{" * 500, "psa_s@9", "layer4=", "a=b=c", "64x", "0x0", "cuda:99", "\0",
]  # fmt: skip
USUAL = [
    "1", "2", "8", "64", "0.5", "true", "off", "7s", "2h", "auto", "none", "psa_s", "gc@3,4", "cpu",
    "32x32", "adamw", "32", "ohem", "fcn", "binary", "1,2", "null", "[4, 8]", "{width: 3}", "name",
]  # fmt: skip
FLAGS = {
    "train": [
        *(f"--{name.replace('_', '-')}" for name in FIELDS), "--no-flip", "--config", "--resume",
        "--print_config", "--preset", "--quiet", "--accept-changes",
    ],
    "predict": ["--out", "--window", "--overlap", "--scales", "--flip", "--device", "--quiet"],
    "evaluate": [
        *("--data", "--split", "--window", "--overlap", "--scales", "--flip", "--average"),
        *("--boundary", "--threshold"),
        *("--workers", "--device", "--out"),
    ],
    "explain": [
        *("--at", "--layers", "--class", "--class-maps", "--no-deletion", "--out"),
        "--receptive-field",
    ],
    "import": ["--out", "--backbone-only"],
    "insert": ["--at", "--size", "--per-channel", "--out"],
    "demo": ["--attention", "--steps", "--seed", "--device", "--config"],
}  # fmt: skip
POSITIONALS = {"train": 0, "predict": 2, "evaluate": 1, "explain": 2, "import": 1, "demo": 0}
VALUES = st.one_of(
    st.sampled_from(USUAL),
    st.sampled_from(ODD),
    st.text(max_size=9),
    st.integers(-2, 2000).map(str),
    st.floats(0, 2).map(str),
)


@st.composite
def lines(draw):
    """A command, what it must be given, and some options, each with a value of any kind."""
    name = draw(st.sampled_from(list(POSITIONALS)))
    given_ = [draw(VALUES) for _ in range(POSITIONALS[name] + draw(st.sampled_from([0, 0, 0, 1])))]
    if name == "import":
        given_ += ["--out", draw(VALUES)]
    flags = st.sampled_from([*FLAGS[name], "--help", "--debug", "--odd"])
    one = st.one_of(
        st.tuples(flags, VALUES).map("=".join).map(lambda word: [word]),
        st.tuples(flags, VALUES).map(list),
        flags.map(lambda flag: [flag]),
    )
    return name, [*given_, *(word for words in draw(st.lists(one, max_size=3)) for word in words)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with odd names in it, which is the current one."""
    folder = tmp_path_factory.mktemp("odd names 名")
    (folder / "folder").mkdir()
    (folder / "dash").mkdir()
    (folder / "model").mkdir()
    names = ("file", "dash/-n.png", "p.png", "model/config.json", "model/model.safetensors")
    for name in names:
        (folder / name).write_bytes(b"\xff\xfe")
    (folder / "link").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@settings(max_examples=600, **FIXED)
@given(line=lines())
def test_command_lines(place, line):
    name, words = line
    with pytest.MonkeyPatch.context() as patch:  # what is right would train
        patch.setattr("pixelwise.cli.train._train", lambda *_: 0)
        patch.setattr("pixelwise.demo.run_demo", lambda *_: exit(0))
        patch.setattr("pixelwise.interop.convert.import_checkpoint", lambda *_, **__: exit(0))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([name, *words])
            except SystemExit as stop:
                code = stop.code or 0
    said = err.getvalue()
    assert code in (0, 2), said
    if "--debug" not in words:
        assert len(said.splitlines()) == (code == 2), said


PLAIN = as_plain(TrainSettings(data="scenes"))
JUNK = st.recursive(
    st.sampled_from(
        [*USUAL, *ODD, 0, 1, 64, 0.5, 1e-3, None, True, False, 2**70, -1, float("nan")]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=3,
)
LETTERS = "\t:#'\"[]{}&*!-\n0~\u2028 x"


@settings(max_examples=600, **FIXED)
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=2),
    places=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(LETTERS)), max_size=1),
)
def test_settings_that_were_edited(place, changes, places):
    text = to_text(PLAIN | changes)
    for where, letter in places:
        at = int(where * len(text))
        text = text[:at] + letter + text[at + 1 :]
    (place / "config.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(InputError):
        found = read_settings(place)
        (place / "config.yaml").write_text(to_text(as_plain(found)), encoding="utf-8")
        assert read_settings(place) == found


PIECES = st.lists(
    st.sampled_from(
        ["a: ", "b: ", "1", "yes", "x", "\n", "\n", "  ", "- ", "[", "]", "{", "}", ", "]
    )
    | st.sampled_from(
        ["&a ", "*a", "!!int ", "? ", "<<: ", "'", '"', "#", "|", ">", "\t", "\r", "---"]
    )
    | st.text(max_size=3),
    max_size=14,
)


@settings(max_examples=600, **FIXED)
@given(content=st.binary(max_size=20) | PIECES.map("".join).map(str.encode))
def test_any_bytes_as_yaml(place, content):
    file = place / "any.yaml"
    file.write_bytes(content)
    with contextlib.suppress(InputError):
        assert isinstance(read(file), dict)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=200, **FIXED)
@given(names=st.lists(NAMES.filter(lambda n: len(n.encode()) < 200), max_size=5), foreign=NAMES)
def test_files_of_any_name_are_known_again(place, tmp_path_factory, names, foreign):
    folder = tmp_path_factory.mktemp("out")
    names = [f"x{name}" for name in names]
    for content in (b"one", b"two"):
        with Outputs(folder, "predict") as outputs, outputs.writing(*names):
            for name in names:
                (folder / name).write_bytes(content)
    other = f"y{foreign[:20]}"
    (folder / other).write_bytes(b"theirs")
    with pytest.raises(InputError), Outputs(folder, "predict") as outputs:
        outputs.check([*names, other])


def test_every_command_is_tried_with_nothing(capsys):
    for name in COMMANDS:
        if name not in ("demo", "bench", "layers", "models"):
            assert main([name]) == 2
