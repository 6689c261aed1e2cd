"""`pixelwise evaluate A B`: tables, pages, and networks that cannot be compared."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import load

NAMES = ("地面", "water", "gone")


def made(folder, seed=0, **changes):
    """A network that nobody has trained."""
    torch.manual_seed(seed)
    options = {"num_classes": 3, "names": NAMES} | changes
    create_model("fcn", "test_resnet", **options).save_pretrained(folder)
    return folder


def dataset(folder, *, pictures=4, ignored=False, names=NAMES):
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "val" / kind).mkdir(parents=True)
    for i in range(pictures):
        image = rng.integers(0, 255, (24, 40, 3), dtype=np.uint8)
        mask = rng.integers(0, 2, (24, 40), dtype=np.uint8)
        if ignored:
            mask[:] = 255
        Image.fromarray(image).save(folder / "val" / "images" / f"图 {i}.png")
        Image.fromarray(mask).save(folder / "val" / "masks" / f"图 {i}.png")
    listed = ", ".join(names)
    text = f"train: val/images\nval: val/images\nnames: [{listed}]\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return made(folder / "one"), made(folder / "two", seed=1)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def evaluate(*words):
    return main(["evaluate", *map(str, words), "--device", "cpu", "--quiet"])


def refused(capsys, *words):
    assert evaluate(*words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def rows(file):
    with file.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_two_networks_side_by_side(networks, data, tmp_path, capsys):
    assert evaluate(*networks, "--data", data) == 0
    told = capsys.readouterr().out
    out = tmp_path / "runs" / "evaluate" / "1"
    for part in ("B - A", "95 % interval", "mean IoU of B minus that of A", "B most "):
        assert part in told
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    main_score = found["differences"]["B"]["miou"]
    assert main_score["first"] == pytest.approx(found["scores"]["A"]["miou"])
    assert main_score["second"] == pytest.approx(found["scores"]["B"]["miou"])
    low, high = main_score["interval"]
    assert low <= main_score["difference"] <= high
    absent = found["differences"]["B"]["iou_gone"]
    assert absent == dict.fromkeys(("first", "second", "difference", "interval"))
    pictures = rows(out / "pictures.csv")
    gains = [float(row["B-A"]) for row in pictures]
    assert gains == sorted(gains)
    assert len(gains) == 4
    assert [row["score"] for row in rows(out / "differences.csv")][:2] == ["miou", "accuracy"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "地面" in page
    assert "图 0.png" in page
    assert "http" not in page.replace("http-equiv", "")
    assert len(list(out.glob("differs_*.png"))) == 4
    for network, letter in zip(networks, "AB", strict=True):
        alone = tmp_path / letter
        assert evaluate(network, "--data", data, "--out", alone) == 0
        scores = json.loads((alone / "metrics.json").read_text(encoding="utf-8"))
        assert found["scores"][letter]["iou"] == scores["iou"]


@pytest.mark.slow
def test_turned_round_three_and_numbered(networks, data, tmp_path, capsys):
    third = shutil.copytree(networks[0], tmp_path / "copy")
    assert evaluate(*networks, third, "--data", data) == 0
    assert evaluate(*networks[::-1], "--data", data) == 0
    first, second = (
        json.loads((tmp_path / "runs/evaluate" / n / "metrics.json").read_text("utf-8"))
        for n in "12"
    )
    assert first["runs"] == {"A": str(networks[0]), "B": str(networks[1]), "C": str(third)}
    same = first["differences"]["C"]["miou"]
    assert (same["difference"], same["interval"]) == (0.0, [0.0, 0.0])
    one, other = (found["differences"]["B"]["miou"] for found in (first, second))
    assert one["interval"] == pytest.approx([-end for end in other["interval"][::-1]])
    assert "which is better is open" in capsys.readouterr().out


def test_the_page_of_one_network(networks, data, tmp_path, capsys):
    out = tmp_path / "one"
    words = [networks[0], "--data", data, "--out", out, "--scales", "0.5,1", "--flip"]
    for _ in range(2):
        assert evaluate(*words, "--overlap", "0.5", "--window", "32") == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    for part in ("地面", "absent", "Calibration", "each mirrored too", "overlap 0.5"):
        assert part in page
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert (found["scales"], found["flip"]) == ([0.5, 1.0], True)


def test_one_picture_has_no_interval(networks, tmp_path, capsys):
    single = dataset(tmp_path / "single", pictures=1)
    assert evaluate(*networks, "--data", single, "--out", "two") == 0
    assert "one picture gives no interval" in capsys.readouterr().out
    assert evaluate(networks[0], "--data", single, "--out", "one") == 0
    assert "one picture: there are no intervals" in capsys.readouterr().out


def test_nothing_to_count_and_no_pictures(networks, tmp_path, capsys):
    ignored = dataset(tmp_path / "ignored", pictures=2, ignored=True)
    assert "no pixel was counted" in refused(capsys, *networks, "--data", ignored)
    assert "no pixel was counted" in refused(capsys, networks[0], "--data", ignored)
    empty = dataset(tmp_path / "empty", pictures=0)
    line = refused(capsys, *networks, "--data", empty)
    assert "no picture" in line or "nothing" in line
    assert not (tmp_path / "runs").exists()


def test_a_network_that_says_nan(networks, data, tmp_path, capsys):
    broken = load(networks[0])
    with torch.no_grad():
        next(broken.decoder.parameters()).fill_(torch.nan)
    broken.save_pretrained(tmp_path / "broken")
    line = refused(capsys, networks[0], tmp_path / "broken", "--data", data)
    assert "broken: says NaN or infinite of" in line


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"names": ("地面", "gone", "water")}, "in this order, but"),
        ({"num_classes": 2, "names": NAMES[:2]}, "predicts 2 classes, but"),
        ({"in_channels": 4}, "takes 4 bands, but"),
        ({"task": "multilabel"}, "is for task 'multilabel', but"),
        ({"task": "keypoints"}, "is for task 'keypoints', but"),
    ],
)
def test_networks_for_something_else(networks, data, tmp_path, capsys, changes, told):
    other = made(tmp_path / "other", **changes)
    line = refused(capsys, networks[0], other, "--data", data)
    assert told in line
    assert str(other) in line


def test_two_heads_for_the_same_two_classes_are_compared(tmp_path, capsys):
    two = dataset(tmp_path / "two", names=("ground", "water"))
    names = ("ground", "water")
    many = made(tmp_path / "many", num_classes=2, names=names)
    one = made(tmp_path / "single", num_classes=1, task="binary", names=names)
    assert evaluate(many, one, "--data", two, "--out", "out") == 0
    assert "water, %" in capsys.readouterr().out
    line = refused(capsys, many, one, "--data", two, "--out", "out", "--threshold", "0.4")
    assert "is for task 'binary'" in line


def test_what_is_no_comparison(networks, data, tmp_path, capsys):
    (tmp_path / "link").symlink_to(networks[0])
    with_data = [*networks, "--data", data]
    for words, told in (
        ([networks[0], tmp_path / "link", "--data", data], "is given twice"),
        ([*networks], "does not name its data; give --data"),
        ([*with_data, "--average", 2], "average=2: is for one run"),
        ([*with_data, "--threshold", "auto"], "threshold='auto': is for one run"),
        ([*with_data, "--scales", "1,1"], "has a number twice"),
        ([*with_data, "--overlap", "0.95"], "overlap=0.95: must be from 0 to 0.9"),
        ([networks[0], "--data", data, "--average", 1], "average=1: must be at least 2"),
        ([networks[0], "--data", data, "--average", 2], "has no checkpoints, as saved models"),
        ([networks[0], tmp_path / "nowhere"], "nowhere: no such folder"),
        ([*(f"{networks[0]}" for _ in range(9)), "--data", data], "9 networks are too many"),
    ):
        assert told in refused(capsys, *words)


def test_runs_on_other_data_are_not_compared_unasked(networks, data, tmp_path, capsys):
    other = dataset(tmp_path / "other")
    runs = []
    for network, used in zip(networks, (data, other), strict=True):
        runs.append(shutil.copytree(network, tmp_path / f"run {network.name}"))
        (runs[-1] / "config.yaml").write_text(f"data: {used}\n", encoding="utf-8")
    line = refused(capsys, *runs)
    assert f"was trained on {data}, but" in line
    assert "--data" in line
    assert evaluate(runs[0], networks[1], "--out", "out") == 0


def test_files_of_others_stay(networks, data, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "report.html").write_text("mine")
    for words in ([*networks], [networks[0]]):
        line = refused(capsys, *words, "--data", data, "--out", mine)
        assert "report.html: stands there" in line
    assert (mine / "report.html").read_text() == "mine"
    line = refused(capsys, networks[0], "--data", data, "--out", networks[1], "--average", 2)
    assert "model.safetensors: stands there" in line


def test_a_kill_leaves_nothing_that_stands_in_the_way(
    networks, data, tmp_path, monkeypatch, capsys
):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pixelwise.pictures.files.Path.replace", killed, raising=False)
        assert evaluate(*networks, "--data", data, "--out", "out") == 130
    assert not list((tmp_path / "out").glob("*.html"))
    assert evaluate(*networks, "--data", data, "--out", "out") == 0


def test_a_task_without_scores_of_pictures(networks, data, monkeypatch, capsys):
    monkeypatch.setattr(
        "pixelwise.tasks.class_examination.ClassExamination.tallies", lambda self: None
    )
    assert evaluate(*networks, "--data", data, "--out", "out") == 0
    assert "has no scores of single pictures" in capsys.readouterr().out


@pytest.mark.slow
def test_averaged_checkpoints_are_scored_kept_and_used(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pixelwise.train.averaging.CROPS", 4)
    (tmp_path / "keep.yaml").write_text('keep: 3\ncheckpoint_every: "0"\n')
    words = ["--data", "scenes:size=64,train=4,val=2,test=1", "--backbone", "test_resnet"]
    words += ["--steps", "3", "--batch-size", "2", "--workers", "0", "--device", "cpu"]
    words += ["--config", "keep.yaml", "--name", "one", "--quiet"]
    assert main(["train", *words]) == 0
    assert evaluate("runs/train/one", "--average", 3) == 0
    out = tmp_path / "runs" / "train" / "one" / "evaluate" / "val_average_3"
    assert json.loads((out / "metrics.json").read_text())["average"] == 3
    assert evaluate("runs/train/one", out) == 0
    Image.new("RGB", (64, 64)).save(tmp_path / "x.png")
    assert main(["predict", str(out), "x.png", "--quiet", "--device", "cpu", "--flip"]) == 0
    capsys.readouterr()
    assert "has 3 checkpoints" in refused(capsys, "runs/train/one", "--average", 4)


@pytest.mark.slow
@pytest.mark.parametrize("drawn", ["puppets", "depth-scenes", "overlapping-scenes"])
def test_every_other_task(drawn, tmp_path, capsys):
    words = ["--backbone", "test_resnet", "--batch-size", "2", "--workers", "0", "--quiet"]
    words += ["--data", f"{drawn}:size=64,train=4,val=3,test=1", "--steps", "2", "--device", "cpu"]
    words += ["--model", "simple_baseline" if drawn == "puppets" else "fcn"]
    for name in "ab":
        assert main(["train", *words, "--name", name]) == 0
    assert evaluate("runs/train/a", "--flip") == 0
    assert "95 % intervals over 3 pictures" in capsys.readouterr().out
    assert (tmp_path / "runs/train/a/evaluate/val/pictures.csv").is_file()
    assert evaluate("runs/train/a", "runs/train/b") == 0
    assert (tmp_path / "runs/evaluate/1/report.html").is_file()
    if drawn != "overlapping-scenes":
        line = refused(capsys, "runs/train/a", "runs/train/b", "--scales", "0.5,1")
        assert "does not suit task" in line
