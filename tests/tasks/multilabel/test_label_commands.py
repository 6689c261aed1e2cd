"""Labels through the commands: a run, its scores, its predictions, and what is refused."""

import json
import signal

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file

from pixelwise.cli.main import main
from pixelwise.data.opening import open_data
from pixelwise.data.stream import TrainingStream
from pixelwise.networks.segmenter import load

SMALL = ["--model", "fcn", "--attention", "gc", "--backbone", "test_resnet"]
SMALL += ["--batch-size", "2", "--workers", "0", "--device", "cpu"]
NAMES = ("道路", "car/van", "a: b")
YAML = """
train: train/images
val: val/images
names: [道路, car/van, "a: b"]
overlapping: bands
"""


def streets(folder):
    """Pictures whose channels show the three labels, which overlap."""
    for split, count in (("train", 5), ("val", 2)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(count):
            rng = np.random.default_rng(i)
            labels = np.zeros((3, 48, 64), np.uint8)
            for label in labels:
                top, left = rng.integers(0, 30, 2)
                label[top : top + 18, left : left + 30] = 1
            values = 60 + 120 * labels.transpose(1, 2, 0) + rng.normal(0, 4, (48, 64, 3))
            picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
            picture.save(folder / split / "images" / f"p{i}.png")
            masks = folder / split / "masks" / f"p{i}.tif"
            tifffile.imwrite(masks, labels, photometric="minisblack")
    (folder / "data.yaml").write_text(YAML, encoding="utf-8")
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return streets(tmp_path_factory.mktemp("streets"))


def settings(folder, data, **more):
    file = folder / "settings.yaml"
    told = {"data": str(data), "steps": 4, "task_options": {"thresholds": "auto"}, **more}
    file.write_text(json.dumps(told))
    return ["train", "--config", str(file), *SMALL, "--runs", str(folder)]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    assert main([*settings(runs, data), "--name", "one", "--quiet"]) == 0
    return runs / "train" / "one"


def refused(capsys, *words):
    assert main([*map(str, words), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_a_run_keeps_the_thresholds_that_val_chose(run):
    config = load(run).config
    assert (config.task, config.names) == ("multilabel", NAMES)
    numbers = json.loads((run / "metrics.json").read_text())
    chosen = config.task_options["thresholds"]
    assert len(chosen) == 3
    assert tuple(numbers["thresholds"].values()) == chosen
    assert numbers["thresholds_chosen_here"]
    assert len(load(run / "last").config.task_options["thresholds"]) == 3
    assert list(numbers["iou"]) == list(NAMES)
    assert len(list((run / "samples").glob("*.png"))) == 2
    assert (run / "thresholds.png").stat().st_size > 1000


def test_evaluating_gives_the_numbers_of_training(run, capsys):
    assert main(["evaluate", str(run), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "precision %" in told
    assert "chosen on these" not in told
    again = json.loads((run / "evaluate" / "val" / "metrics.json").read_text())
    before = json.loads((run / "metrics.json").read_text())
    assert all(again[name] == before[name] for name in ("miou", "iou", "recall", "thresholds"))
    lines = (run / "evaluate" / "val" / "labels.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["label", *NAMES]


def test_predictions_are_bands_that_are_read_again(run, data, tmp_path):
    pictures = data.parent / "val" / "images"
    folder = tmp_path / "masks"
    assert main(["predict", str(run), str(pictures), "--out", str(folder), "--quiet"]) == 0
    assert sorted(file.name for file in folder.iterdir() if file.suffix in (".tif", ".png")) == [
        "p0.tif", "p0_overlay.png", "p1.tif", "p1_overlay.png"
    ]  # fmt: skip
    with tifffile.TiffFile(folder / "p0.tif") as file:
        bands = file.asarray()
        told = file.pages[0].tags[42112].value
    assert (bands.dtype, bands.shape) == (np.uint8, (3, 48, 64))
    assert set(np.unique(bands)) <= {0, 1}
    assert "&#36947;&#36335;" in told
    text = YAML.replace("train: train/images\nval: val/images", f"train: {pictures}\nmasks_dir: x")
    described = tmp_path / "data.yaml"
    described.write_text(text.replace("masks_dir: x", f"masks_dir: {folder}"))
    mask = open_data(described).split("train")[0].mask
    assert torch.equal(mask, torch.from_numpy(bands.astype(np.int64)))


def test_pixels_without_data_are_told_apart(run, data, tmp_path):
    values = np.array(Image.open(data.parent / "val" / "images" / "p0.png"))
    clear = np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])
    clear[5, 6, 3] = 0
    picture = tmp_path / "p.png"
    Image.fromarray(clear).save(picture)
    assert main(["predict", str(run), str(picture), "--out", str(tmp_path / "o"), "--quiet"]) == 0
    bands = tifffile.imread(tmp_path / "o" / "p.tif")
    assert np.argwhere(bands == 255).tolist() == [[0, 5, 6], [1, 5, 6], [2, 5, 6]]


def test_explaining_asks_about_the_labels(run, data, tmp_path):
    picture = data.parent / "val" / "images" / "p1.png"
    words = ["explain", str(run), str(picture), "--out", str(tmp_path), "--no-deletion", "--quiet"]
    assert main(words) == 0
    assert (tmp_path / "p1" / "look.html").is_file()


def test_a_run_that_was_cut_ends_in_the_same_weights_and_thresholds(
    run, data, tmp_path, monkeypatch
):
    drawn, draw = [], TrainingStream.__getitem__

    def strike(stream, position):
        drawn.append(position)
        if len(drawn) == 5:  # in the third of four steps
            signal.raise_signal(signal.SIGINT)
        return draw(stream, position)

    monkeypatch.setattr(TrainingStream, "__getitem__", strike)
    words = settings(tmp_path, data)
    assert main([*words, "--name", "one", "--quiet"]) == 128 + signal.SIGINT
    cut, before = tmp_path / "train" / "one", len(drawn)
    assert before < 8
    assert main(["train", "--resume", str(cut), "--quiet"]) == 0
    assert len(drawn) > before
    theirs, ours = (load_file(r / "last" / "model.safetensors") for r in (run, cut))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    assert load(cut / "last").config == load(run / "last").config


@pytest.mark.parametrize("model", ["encnet", "ocrnet"])
def test_networks_with_more_outputs_learn_labels(data, tmp_path, model):
    words = settings(tmp_path, data, steps=1, loss="ce+dice")
    words[words.index("fcn")], words[words.index("gc")] = model, "none"
    assert main([*words, "--class-weights", "auto", "--quiet"]) == 0


def test_a_layer_is_inserted_and_trained_further(run, data, tmp_path):
    words = [
        "train",
        "--data",
        str(data),
        "--start",
        str(run),
        "--insert",
        "psa_s@backbone.body.layer4",
    ]
    words += ["--steps", "1", "--runs", str(tmp_path), "--workers", "0", "--quiet"]
    assert main(words) == 0
    assert load(tmp_path / "train" / "1").config.task_options == load(run).config.task_options


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"loss": "bce_dice"}, "unknown loss 'bce_dice'"),
        ({"loss": "dice", "class_weights": "auto"}, "takes no class weights"),
        ({"task": "multiclass"}, "multiclass"),
        ({"task_options": {"threshold": 0.5}}, "did you mean 'thresholds'"),
        ({"task_options": {"thresholds": [0.5]}}, "one per label"),
        ({"task_options": {"thresholds": {"道": 0.5}}}, "unknown label"),
        ({"task_options": {"thresholds": {"道路": 1}}}, "between 0 and 1"),
        ({"task_options": {"thresholds": "best"}}, "between 0 and 1"),
    ],
)
def test_wrong_settings_give_one_line(data, tmp_path, capsys, change, told):
    assert told in refused(capsys, *settings(tmp_path, data, **change))
    assert not (tmp_path / "train").exists()


def test_data_of_other_kinds_is_not_evaluated(run, capsys):
    error = refused(capsys, "evaluate", run, "--data", "scenes:size=64,train=2,val=2,test=1")
    assert "several labels per pixel" in error
