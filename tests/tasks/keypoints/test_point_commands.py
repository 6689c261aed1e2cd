"""Points from a DeepLabCut file through the commands, and back to files."""

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from pixelwise.cli.main import main
from pixelwise.data.opening import open_data
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available
from pixelwise.networks.segmenter import load
from pixelwise.tasks.base import LossChoice
from pixelwise.tasks.keypoints.stream import PointStream
from pixelwise.train.presets import preset_file
from pixelwise.train.settings import TrainSettings

NAMES = ("snout", "leftear", "rightear", "tail")
SMALL = ["--model", "fcn", "--attention", "gc", "--backbone", "test_resnet"]
SMALL += ["--batch-size", "2", "--workers", "0"]


def mice(folder, count=10):
    """Pictures with four bright spots, and their labels as DeepLabCut writes them."""
    video = folder / "labeled-data" / "m1"
    video.mkdir(parents=True)
    rows = [["scorer", *["me"] * 8], ["bodyparts", *(n for n in NAMES for _ in "xy")]]
    rows.append(["coords", *["x", "y"] * 4])
    for i in range(count):
        rng = np.random.default_rng(i)
        points = rng.uniform((8, 8), (56, 40), (4, 2))
        values = rng.integers(0, 60, (48, 64, 3), dtype=np.uint8)
        for k, (x, y) in enumerate(points):
            values[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 60 * k + 70
        Image.fromarray(values).save(video / f"img{i}.png")
        cells = [f"{value:.3f}" for point in points for value in point]
        if i == 0:
            cells[2:4] = ["", ""]
        rows.append([f"labeled-data/m1/img{i}.png", *cells])
    with (video / "CollectedData_me.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    text = "labels: labeled-data/m1/CollectedData_me.csv\nskeleton: [[snout, tail]]\n"
    (folder / "data.yaml").write_text(text)
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return mice(tmp_path_factory.mktemp("mice"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = ["train", "--data", str(data), *SMALL, "--steps", "4", "--name", "one", "--quiet"]
    assert main([*words, "--runs", str(runs)]) == 0
    return runs / "train" / "one"


def test_a_run_knows_its_points(run, data):
    config = load(run).config
    assert (config.task, config.names) == ("keypoints", NAMES)
    assert config.task_options["pairs"] == ((1, 2),)  # by their names
    assert config.task_options["size"] == (64, 64)
    numbers = json.loads((run / "metrics.json").read_text())
    assert numbers["mean_error"] > 0
    assert {"median", "rmse", "missed", "within_5", "mean_snout"} <= set(numbers)
    assert (run / "errors.png").stat().st_size > 1000
    assert open_data(data).split("train")[0].points.shape == (4, 2)


def test_evaluating_tells_pixels(run, capsys):
    assert main(["evaluate", str(run), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "mean px" in told
    assert "nearer to the other side's prediction" in told
    lines = (run / "evaluate" / "val" / "points.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["point", *NAMES, "all"]


def test_predictions_are_tables_that_are_read_again(run, data, tmp_path):
    pictures = data.parent / "labeled-data" / "m1"
    assert main(["predict", str(run), f"{pictures}/*.png", "--out", str(tmp_path), "--quiet"]) == 0
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 * len(NAMES)
    assert {row["name"] for row in rows} == set(NAMES)
    like = (tmp_path / "points_deeplabcut.csv").read_text().splitlines()
    assert like[1].split(",")[1:5] == ["snout", "snout", "snout", "leftear"]
    assert len(list(tmp_path.glob("*_points.png"))) == 10


def test_explaining_asks_about_the_points(run, data, tmp_path):
    picture = data.parent / "labeled-data" / "m1" / "img1.png"
    words = ["explain", str(run), str(picture), "--out", str(tmp_path), "--no-deletion", "--quiet"]
    assert main([*words, "--at", "20,30"]) == 0
    assert (tmp_path / "img1" / "look.html").is_file()


def test_a_run_that_was_cut_ends_in_the_same_weights(run, data, tmp_path, monkeypatch):
    drawn, draw = [], PointStream.__getitem__

    def strike(stream, position):
        drawn.append(position)
        if len(drawn) == 5:  # in the third of four steps
            signal.raise_signal(signal.SIGINT)
        return draw(stream, position)

    monkeypatch.setattr(PointStream, "__getitem__", strike)
    words = ["train", "--data", str(data), *SMALL, "--name", "one", "--quiet"]
    assert main([*words, "--runs", str(tmp_path), "--steps", "4"]) == 128 + signal.SIGINT
    cut, before = tmp_path / "train" / "one", len(drawn)
    assert before < 8
    assert main(["train", "--resume", str(cut), "--quiet"]) == 0
    assert len(drawn) > before
    theirs, ours = (load_file(r / "last" / "model.safetensors") for r in (run, cut))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize("arch", available())
def test_every_network_learns_points(arch):
    torch.manual_seed(0)
    model = create_model(
        arch, "test_resnet", num_classes=3, task="keypoints", task_options={"maps": "softmax"}
    )
    points = torch.tensor([[[10.0, 12.0, 2.0], [30.0, 40.0, 1.0], [0.0, 0.0, 0.0]]] * 2)
    outputs = model.with_auxiliary(torch.randn(2, 3, 64, 96))
    assert outputs.logits.shape == (2, 3, 16, 24)
    loss = model.task.loss(LossChoice())(outputs.logits, points.double())
    loss.backward()
    assert loss.isfinite()
    assert model.task.answer(outputs.logits).shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("pairs: [[leftear, nose]]", "nose"),
        ("sigmas: [0.1]", "sigmas"),
        ("points: [snout, leftear, rightear, tale]", "tale"),
    ],
)
def test_wrong_descriptions_give_one_line(data, tmp_path, capsys, yaml, told):
    file = data.parent / f"{len(yaml)}.yaml"
    file.write_text(data.read_text() + yaml + "\n")
    assert main(["train", "--data", str(file), *SMALL, "--steps", "1", "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"decoder": "drak"}, "dark"),
        ({"sigm": 2.0}, "sigma"),
        ({"target": "udp_offset"}, "udp_offset"),
        ({"pck": ["snout", "tail"]}, "pck"),
        ({"maps": "heat", "decoder": "udp_offset"}, "decoder"),
    ],
)
def test_wrong_options_give_one_line(data, tmp_path, capsys, options, told):
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps({"data": str(data), "task_options": options, "steps": 1}))
    words = ["train", "--config", str(file), *SMALL, "--runs", str(tmp_path), "--quiet"]
    assert main(words) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error


def test_networks_with_a_loss_of_classes_learn_points_without_it(data, tmp_path):
    words = ["train", "--data", str(data), "--model", "encnet", "--backbone", "test_resnet"]
    words += ["--steps", "1", "--batch-size", "2", "--workers", "0", "--runs", str(tmp_path)]
    assert main([*words, "--quiet"]) == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"loss": "ohem"}, "loss='ohem': must be one of location"),
        ({"class_weights": "auto"}, "class_weights='auto': is for classes"),
        ({"scale_min": 3.0}, "scale=(3.0, 1.33)"),
    ],
)
def test_wrong_settings_are_told_before_any_picture_is_read(
    data, tmp_path, capsys, monkeypatch, settings, told
):
    def read(*_):
        raise AssertionError("read a picture")

    monkeypatch.setattr("pixelwise.train.plan.check_data", read)
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps({"data": str(data), "steps": 1, **settings}))
    assert main(["train", "--config", str(file), *SMALL, "--runs", str(tmp_path), "--quiet"]) == 2
    assert told in capsys.readouterr().err


PUBLISHED = {
    **{f"simple_baseline_resnet{depth}": f"resnet{depth}" for depth in (50, 101, 152)},
    **{f"hrnet_pose_w{width}": f"hrnet_w{width}" for width in (32, 48)},
}


@pytest.mark.parametrize("size", ["256x192", "384x288"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes(name, size):
    text = Path(preset_file(f"{name}_{size}")).read_text()
    settings = TrainSettings(**yaml.safe_load(text))
    assert (settings.task, settings.crop, settings.backbone) == ("keypoints", size, PUBLISHED[name])
    assert settings.task_options["sigma"] == (2.0 if size == "256x192" else 3.0)
    assert f"{size}_" in settings.source
    assert "add attention psa_p@inner" in settings.source


def test_a_published_recipe_trains_with_and_without_attention(data, tmp_path):
    words = ["train", "--preset", "hrnet_pose_w32_256x192", "--data", str(data), "--quiet"]
    words += ["--backbone", "hrnet_w18_small", "--no-pretrained", "--crop", "64x64", "--steps", "2"]
    words += ["--batch-size", "2", "--workers", "0", "--runs", str(tmp_path)]
    for attention in ("none", "psa_p@inner"):
        assert main([*words, "--attention", attention, "--name", attention[:4]]) == 0
        model = load(tmp_path / "train" / attention[:4])
        assert model.config.task_options["target"] == "simple_baseline"
        assert model.backbone.channels == [64, 16]
        layers = [part for part in model.modules() if getattr(part, "key", "") == "psa_p"]
        assert bool(layers) == (attention != "none")


def test_a_run_does_not_go_on_with_data_of_another_kind(data, tmp_path, capsys):
    words = ["train", "--data", str(data), *SMALL, "--steps", "1", "--quiet", "--name", "one"]
    assert main([*words, "--runs", str(tmp_path)]) == 0
    (tmp_path / "train" / "one" / "metrics.json").unlink()
    again = ["train", "--resume", str(tmp_path / "train" / "one"), "--accept-changes", "--quiet"]
    capsys.readouterr()
    assert main([*again, "--data", "depth-scenes:size=64,train=2,val=2,test=1"]) == 2
    error = capsys.readouterr().err.strip()
    assert "for task 'keypoints' and is for 'regression' now" in error
    assert "\n" not in error
    assert main([*again, "--data", str(data)]) == 0
