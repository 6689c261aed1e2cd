"""Names of layers on the command line: candidates, notes, and one key in what is written."""

import pytest

from pixelwise import notes
from pixelwise.cli.main import main
from pixelwise.compare.arms import checked_layers, spelt
from pixelwise.errors import InputError
from pixelwise.probe import subjects

NOTE = "note: insert='ema': is Expectation-maximization attention (2019); most people mean"


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(notes, "_told", set())


def run(capsys, *words):
    code = main(words)
    return code, *capsys.readouterr()


def test_a_name_of_several_is_answered_with_all_of_them(capsys):
    code, out, err = run(capsys, "layers", "EMA")
    assert (code, err) == (0, "")
    assert out.startswith("EMA is used for 2 mechanisms\n\nemsa                 Efficient multi")
    assert "\nema                  Expectation-maxim" in out
    code, out, _ = run(capsys, "layers", "极化自注意力")
    assert (code, out.count("\npsa_")) == (0, 2)


def test_a_card_tells_what_else_the_key_is_used_for(capsys):
    _, out, err = run(capsys, "layers", "ema")
    assert "\nOthers mean by 'ema'\nemsa                 Efficient multi-scale attention" in out
    assert err == ""  # who reads the card needs no note
    _, out, _ = run(capsys, "layers", "SqueezeExcite")
    assert out.startswith("se: Squeeze-and-excitation block")
    assert "Others mean" not in out


def test_a_note_is_one_line_and_no_python_warning(capsys):
    code, _, err = run(capsys, "insert", "resnet18", "--at", "ema(bases=4)@layer1", "--quiet")
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith(NOTE)
    assert run(capsys, "insert", "resnet18", "--at", "ema(bases=4)@layer1", "--quiet")[2] == ""


def test_an_alias_gives_no_note(capsys):
    code, out, err = run(capsys, "insert", "resnet18", "--at", "emanet(bases=4)@layer1", "--quiet")
    assert (code, err) == (0, "")
    assert "layer1  ema " in out


def test_only_one_of_several_processes_tells_it(capsys, monkeypatch):
    started = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    assert run(capsys, "insert", "resnet18", "--at", "ema@layer1", "--quiet")[2] == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("insert", "resnet18", "--at", "PSA@layer1"), "error: insert='PSA': could be 'psa_s' ("),
        (
            ("layers", "epsa"),
            "pyramid squeeze attention (EPSANet, 2021) is not in this version; near",
        ),
        (("train", "--data", "scenes", "--attention", "CA"), "attention='CA': could be 'coord'"),
        (("train", "--data", "scenes", "--insert", "fca@x"), "insert='fca': frequency channel att"),
        (("probe", "DA"), "layer='DA': could be 'pam'"),
        (("demo", "--attention", "GCT@4"), "attention='GCT': could be gated channel"),
        (("layers", ""), "layer='': names no layer; known: acmix"),
    ],
)
def test_every_command_tells_the_candidates_in_one_line(capsys, words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *words)
    assert code == 2
    assert told in err
    assert len(err.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_what_is_compared_and_probed_has_the_one_key():
    typed = ("none", "SqueezeExcite", "Coordinate Attention(reduction=8)", "isa(sizes=[(8, 8)])")
    assert spelt(typed) == ("none", "se", "coord(reduction=8)", "isa(sizes=[(8, 8)])")
    with pytest.raises(InputError, match="attention='SA': could be 'shuffle'"):
        spelt(["none", "SA"])
    with pytest.raises(InputError, match="attention: has 'se' twice"):
        checked_layers(spelt(["SELayer", "se"]))
    assert subjects.spelt(["SE, all", "mean", "ISANet(dropout=0.1)"]) == (
        "se",
        "all",
        "mean",
        "isa(dropout=0.1)",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["layers", "upernet"], "layer='upernet': is a network; see pixelwise models upernet"),
        (["layers", "dysampel"], "layer='dysampel': unknown layer; did you mean the upsampler 'dy"),
        (["models", "SimAM"], "model='SimAM': is a layer; see pixelwise layers simam"),
        (["models", "CARAFE"], "model='CARAFE': is an upsampler; see pixelwise layers carafe"),
        (["models", "mit_b0"], "model='mit_b0': is a backbone; see pixelwise models upernet --ba"),
        (["models", "segfromer"], "model='segfromer': unknown model; did you mean 'segformer'?"),
    ],
)
def test_a_name_of_another_kind_says_of_which(words, told, capsys):
    code, out, err = run(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {told}")
