"""`pixelwise evaluate` of a binary network: threshold, borders, the worst pictures."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import load


@pytest.fixture(scope="module")
def cracks(tmp_path_factory):
    """Dark lines on grey, as a data set."""
    folder = tmp_path_factory.mktemp("cracks")
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 8), ("test", 2)):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(100, 160, (32, 40, 3), dtype=np.uint8)
            mask = np.zeros((32, 40), dtype=np.uint8)
            if split != "test":
                mask[:, 5 + 3 * i] = 1
            image[mask == 1] = 20
            Image.fromarray(image).save(folder / "images" / split / f"{i}.png")
            Image.fromarray(mask).save(folder / "masks" / split / f"{i}.png")
    (folder / "data.yaml").write_text(
        "train: images/train\nval: images/val\ntest: images/test\nnames: [ground, crack]\n"
    )
    return folder / "data.yaml"


@pytest.fixture
def network(tmp_path):
    torch.manual_seed(0)
    model = create_model(
        "fcn", "test_resnet", num_classes=1, task="binary", names=("ground", "crack")
    )
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def evaluate(network, data, *words):
    return main(
        ["evaluate", str(network), "--data", str(data), "--quiet", "--device", "cpu", *words]
    )


def test_threshold_is_chosen_kept_and_used(network, cracks, tmp_path, capsys):
    assert evaluate(network, cracks, "--out", str(tmp_path / "plain"), "--boundary", "2") == 0
    plain = json.loads((tmp_path / "plain" / "metrics.json").read_text())
    assert "threshold" not in plain
    assert plain["boundary_tolerance"] == 2
    assert plain["tolerant_f1"]["crack"] is not None
    assert evaluate(network, cracks, "--threshold", "auto", "--out", str(tmp_path / "auto")) == 0
    auto = json.loads((tmp_path / "auto" / "metrics.json").read_text())
    assert auto["threshold"] == auto["best_threshold"] == plain["best_threshold"]
    assert auto["f1"]["crack"] >= plain["f1"]["crack"]
    assert load(network).config.task_options == {"threshold": auto["threshold"]}
    assert evaluate(network, cracks, "--out", str(tmp_path / "again")) == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again["iou"] == auto["iou"]
    assert evaluate(network, cracks, "--out", str(tmp_path / "half"), "--threshold", "0.5") == 0
    half = json.loads((tmp_path / "half" / "metrics.json").read_text())
    assert half["iou"] == plain["iou"]
    assert load(network).config.task_options == {"threshold": auto["threshold"]}
    with (tmp_path / "plain" / "pictures.csv").open() as file:
        names = [row["picture"] for row in csv.DictReader(file)]
    assert len(names) == 8
    worst = sorted(path.name for path in (tmp_path / "plain").glob("worst_*.png"))
    assert worst == [f"worst_{i}.png" for i in range(1, 7)]
    with Image.open(tmp_path / "plain" / "worst_1.png") as picture:
        assert picture.width > 3 * 40


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threshold", "auto", "--split", "test"], "is chosen on val, not on test"),
        (["--threshold", "1"], "must be auto, or a probability between 0 and 1"),
        (["--threshold", "nan"], "must be auto, or a probability between 0 and 1"),
        (["--threshold", "best"], "threshold='best': must be auto"),
        (["--boundary", "51"], "boundary=51: must be from 0 to 50"),
        (["--boundary", "-1"], "boundary=-1: must be from 0 to 50"),
        (["--boundary", "2.5"], "boundary=2.5: must be a whole number"),
    ],
)
def test_faults(network, cracks, capsys, words, told):
    assert evaluate(network, cracks, *words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line


def test_without_a_crack_there_is_no_threshold(network, cracks, tmp_path, capsys):
    folder = cracks.parent
    data = folder / "none.yaml"
    data.write_text(
        "train: images/train\nval: images/test\ntest: images/test\nnames: [ground, crack]\n"
    )
    assert evaluate(network, data, "--threshold", "auto", "--out", str(tmp_path / "out")) == 2
    assert "no pixel of crack in val" in capsys.readouterr().err
    assert load(network).config.task_options == {}


def test_threshold_of_several_classes(cracks, tmp_path, capsys):
    model = create_model("fcn", "test_resnet", num_classes=2, names=("ground", "crack"))
    model.save_pretrained(tmp_path / "two")
    assert evaluate(tmp_path / "two", cracks, "--threshold", "0.4") == 2
    assert "is for task 'binary'" in capsys.readouterr().err
