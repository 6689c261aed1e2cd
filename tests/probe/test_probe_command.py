"""`pixelwise probe` as it is typed."""

import csv
import json

import pytest
import torch

from pixelwise.cli.main import main
from pixelwise.probe import run as running
from pixelwise.probe.asked import ProbeSettings
from pixelwise.probe.network import ProbeNetwork
from pixelwise.probe.results import Results
from pixelwise.probe.subjects import BASELINES, Subject, subjects
from pixelwise.probe.training import train
from pixelwise.probe.variants import CHANNELS, VARIANTS

TINY = [
    "--steps", "1", "--size", "8", "--channels", "16", "--maps", "16", "--batch-size", "2",
    "--device", "cpu", "--quiet",
]  # fmt: skip
SMALL = ProbeSettings(variants="count", steps=2, size=8, channels=16, maps=16, batch_size=2)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "probe"


def error_of(capsys, *words):
    assert main(["probe", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def table(file):
    return list(csv.DictReader(file.read_text().splitlines()))


def test_what_is_written(here, capsys):
    words = ["se", "gc(reduction=2)", "conv3x3", "--no-baselines", "--variants", "count,position"]
    assert main(["probe", *words, *TINY]) == 0
    told = capsys.readouterr().out
    assert "gc(reduction=2)" in told
    folder = here / "1"
    rows = table(folder / "probe.csv")
    names = ["se", "gc(reduction=2)", "conv3x3"]
    assert list(dict.fromkeys(row["layer"] for row in rows)) == names
    assert {(row["variant"], row["distance"]) for row in rows if row["layer"] == "se"} == {
        *(("position", str(d)) for d in (1, 2, 3)),
        *(("count", str(d)) for d in (1, 2, 3, 4, 6, 7)),
    }
    assert [row["layer"] for row in table(folder / "reach.csv")] == names
    for name in ("accuracy.png", "fields.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "gc(reduction=2)" in (folder / "report.html").read_text()


def test_an_interrupted_probe_goes_on(here, capsys, monkeypatch):
    done = []

    def stopping(subject, variant, *others):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((subject.name, variant.key))
        return train(subject, variant, *others)

    words = ["se", "eca", "--no-baselines", "--variants", "count,order", "--name", "雨"]
    monkeypatch.setattr(running, "train", stopping)
    assert main(["probe", *words, *TINY]) == 130
    assert "go on with: pixelwise probe --resume runs/probe/雨" in capsys.readouterr().err
    assert (here / "雨" / "report.html").is_file()
    done.clear()
    assert main(["probe", "--resume", "runs/probe/雨", "--quiet"]) == 0
    assert done == [("eca", "order")]
    done.clear()
    assert main(["probe", "cam", *words, *TINY]) == 0  # the same name, and a layer more
    assert done == [("cam", "count"), ("cam", "order")]
    kept = Results.load(here / "雨")
    assert kept.subjects == ["se", "eca", "cam"]
    assert main(["probe", "--resume", "runs/probe/雨/", "--quiet"]) == 0
    assert len(done) == 2


def test_bad_input_is_refused_in_one_line(here, capsys):
    assert "did you mean 'crisscross'" in error_of(capsys, "criscros")
    assert "none is named" in error_of(capsys)
    assert "none is named" in error_of(capsys, ",")
    assert "did you mean 'reduction'" in error_of(capsys, "se(reductoin=2)")
    assert "one place only" in error_of(capsys, "se@3")
    assert "bracket" in error_of(capsys, "isa(down_factors=[(8, 8)]")
    assert "did you mean 'count'" in error_of(capsys, "se", "--variants", "counts")
    assert "names none" in error_of(capsys, "se", "--variants", ",")
    assert "from 8 to 512" in error_of(capsys, "se", "--size", "4")
    assert "without slashes" in error_of(capsys, "se", "--name", "a/b")
    assert "no probe to go on with" in error_of(capsys, "--resume", "nowhere")
    assert "leave it out" in error_of(capsys, "--resume", "nowhere", "--steps", "3")
    assert "multiples of 2" in error_of(capsys, "spd", "--size", "9")
    assert "reduction=32" in error_of(capsys, "se(reduction=32)", "--channels", "16")
    assert not here.exists()


def test_another_recipe_is_no_resume(here, capsys):
    words = ["none", "--no-baselines", "--variants", "count", "--name", "one"]
    assert main(["probe", *words, *TINY]) == 0
    capsys.readouterr()
    assert "was made with 1" in error_of(capsys, *words, *TINY, "--steps", "2")
    (here / "one" / "probe.json").write_text("{")
    assert "is damaged" in error_of(capsys, *words, *TINY)
    (here / "other").mkdir()
    (here / "other" / "mine.txt").write_text("")
    assert "not empty" in error_of(capsys, *words[:-1], "other", *TINY)


def test_all_leaves_out_what_cannot_be_probed(here, capsys, monkeypatch):
    monkeypatch.setattr("pixelwise.layers.registry.names", lambda: ["se", "spd"])
    words = ["--no-baselines", "--variants", "count", *TINY, "--size", "9"]
    assert main(["probe", "all,se", *words]) == 0
    caught = capsys.readouterr()
    assert "left out: layer='spd'" in caught.err
    assert Results.load(here / "1").subjects == ["se"]
    assert "multiples of 2" in error_of(capsys, "all,spd", *words)


@pytest.mark.parametrize("subject", subjects(["all"], baselines=True), ids=lambda one: one.name)
def test_every_layer_can_be_probed(subject):
    network = ProbeNetwork(subject, 32, 4, 8)
    assert network(torch.zeros(2, CHANNELS, 8, 8)).shape == (2, 4, 8, 8)


def test_seeds_repeat_a_training():
    def accuracy(seed):
        return train(Subject("gc", "gc"), VARIANTS["count"], SMALL, seed, "cpu", print)

    first = accuracy(0)
    assert (first.accuracy, first.loss) == (accuracy(0).accuracy, accuracy(0).loss)
    assert first.loss != accuracy(1).loss


def test_a_loss_that_is_not_finite_is_kept_as_none(here):
    settings = ProbeSettings(steps=3, size=8, channels=16, maps=16, batch_size=2, lr=10.0)
    found = train(Subject("gc", "gc"), VARIANTS["count"], settings, 0, "cpu", print)
    results = Results(settings, ("gc",), [found])
    results.save(here)
    text = (here / "probe.json").read_text()
    assert json.loads(text)["trained"][0]["subject"] == "gc"
    assert Results.load(here).trained == [found]


def test_a_probe_elsewhere_goes_on(tmp_path, monkeypatch, capsys):
    Results(SMALL, ("none",)).save(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert main(["probe", "--resume", ".", "--quiet"]) == 0
    assert Results.load(tmp_path / "moved").subjects == [*BASELINES]
    fields = Results.load(tmp_path / "moved").fields
    assert [fields[name].reach for name in ("none", "conv3x3", "convs")] == [0, 1, 4]


def probed(name, variant, **options):
    (subject,) = subjects([name], baselines=False)
    found = train(subject, VARIANTS[variant], ProbeSettings(**options), 0, "cpu", lambda step: None)
    return dict(zip(found.distances, found.accuracy, strict=True)), found.maps


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_at_chance_at_every_distance(variant):
    accuracy, maps = probed("none", variant, size=16, steps=60)
    chance = VARIANTS[variant].chance
    for found, count in zip(accuracy.values(), maps, strict=True):
        assert abs(found - chance) < 4 * (chance * (1 - chance) / count) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_convolution_knows_its_neighbours_and_no_more(variant):
    accuracy, maps = probed("conv3x3", variant, size=12, steps=250)
    chance = VARIANTS[variant].chance
    for (distance, found), count in zip(accuracy.items(), maps, strict=True):
        if distance == 1:
            assert found > 0.9
        else:
            assert abs(found - chance) < 4 * (chance * (1 - chance) / count) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nonlocal", "pam"])
def test_attention_to_all_pixels_finds_the_marker_at_every_distance(name):
    accuracy, _ = probed(name, "distance", size=12)
    assert min(accuracy.values()) > 0.9


@pytest.mark.slow
def test_channel_gates_know_whether_but_not_where():
    whether, _ = probed("se", "distance", size=12, steps=300, channels=64)
    where, maps = probed("se", "position", size=12, steps=300, channels=64)
    assert min(whether.values()) > 0.625
    for found, count in zip(where.values(), maps, strict=True):
        assert abs(found - 0.25) < 4 * (0.25 * 0.75 / count) ** 0.5
