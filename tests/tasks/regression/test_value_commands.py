"""Values through the commands: a run, its scores, its predictions, and what is refused."""

import json
import shutil
import signal

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file

from pixelwise.cli.main import main
from pixelwise.data.stream import TrainingStream
from pixelwise.networks.segmenter import load

SMALL = ["--model", "fcn", "--attention", "gc", "--backbone", "test_resnet"]
SMALL += ["--batch-size", "2", "--workers", "0", "--device", "cpu"]
YAML = """
train: train/images
val: val/images
masks_dir: depth
values: {depth: {scale: 0.001, unit: m}}
values_nodata: 0
"""


def depths(folder, *, size=(48, 64), lowest=2000):
    """Pictures that are the redder, the farther away, and their depths in millimetres."""
    for split, count in (("train", 5), ("val", 2)):
        for kind in ("images", "depth"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(count):
            rng = np.random.default_rng(i)
            rows, columns = np.mgrid[: size[0], : size[1]]
            raw = lowest + 40 * rows * rng.uniform(0.5, 1.5) + 30 * columns
            red = raw / raw.max() * 200
            values = np.stack([red, red / 2, 255 - red], 2) + rng.normal(0, 4, (*size, 3))
            picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
            picture.save(folder / split / "images" / f"p{i}.png")
            raw[:5, :5] = 0
            Image.fromarray(raw.astype(np.uint16)).save(folder / split / "depth" / f"p{i}.png")
    (folder / "data.yaml").write_text(YAML)
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return depths(tmp_path_factory.mktemp("depths"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = ["train", "--data", str(data), *SMALL, "--steps", "4", "--name", "one", "--quiet"]
    assert main([*words, "--runs", str(runs)]) == 0
    return runs / "train" / "one"


def refused(capsys, *words):
    assert main([*map(str, words), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_a_run_knows_its_values(run):
    config = load(run).config
    assert (config.task, config.names) == ("regression", ("depth",))
    options = config.task_options
    assert options["units"] == ("m",)
    assert 2 < options["lowest"][0] < options["mean"][0] < options["quantiles"][0][-1] < 8
    numbers = json.loads((run / "metrics.json").read_text())
    assert 0 < numbers["mae"] <= numbers["rmse"]
    assert numbers["truth_pixels"] == {"depth": 2 * (48 * 64 - 25)}
    assert len(numbers["bias_by_range"]["depth"]) == 10
    assert len(list((run / "samples").glob("*.png"))) == 2
    assert (run / "bias.png").stat().st_size > 1000


def test_evaluating_tells_errors_in_the_unit(run, capsys):
    assert main(["evaluate", str(run), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "RMSE" in told
    assert "bias of depth by true value, m" in told
    again = json.loads((run / "evaluate" / "val" / "metrics.json").read_text())
    trained = json.loads((run / "metrics.json").read_text())
    assert again["mae"] == pytest.approx(trained["mae"], rel=1e-5)  # another memory layout
    lines = (run / "evaluate" / "val" / "bands.csv").read_text().splitlines()
    assert lines[0].startswith("band,mae,rmse")


def test_predictions_are_rasters_that_are_read_again(run, data, tmp_path):
    pictures = data.parent / "val" / "images"
    assert main(["predict", str(run), str(pictures), "--out", str(tmp_path), "--quiet"]) == 0
    values = tifffile.imread(tmp_path / "p0.tif")
    assert (values.dtype, values.shape) == (np.float32, (48, 64))
    truth = np.array(Image.open(data.parent / "val" / "depth" / "p0.png")) * 0.001
    assert 0 < np.abs(values - truth)[truth > 0].mean() < 5
    with Image.open(tmp_path / "p0_values.png") as shown:
        assert shown.height > 300


def test_explaining_asks_about_low_and_high_values(run, data, tmp_path):
    picture = data.parent / "val" / "images" / "p1.png"
    words = ["explain", str(run), str(picture), "--out", str(tmp_path), "--no-deletion", "--quiet"]
    assert main(words) == 0
    assert (tmp_path / "p1" / "look.html").is_file()


def test_a_run_that_was_cut_ends_in_the_same_weights(run, data, tmp_path, monkeypatch):
    drawn, draw = [], TrainingStream.__getitem__

    def strike(stream, position):
        drawn.append(position)
        if len(drawn) == 5:  # in the third of four steps
            signal.raise_signal(signal.SIGINT)
        return draw(stream, position)

    monkeypatch.setattr(TrainingStream, "__getitem__", strike)
    words = ["train", "--data", str(data), *SMALL, "--name", "one", "--quiet"]
    assert main([*words, "--runs", str(tmp_path), "--steps", "4"]) == 128 + signal.SIGINT
    cut, before = tmp_path / "train" / "one", len(drawn)
    assert before < 8
    assert main(["train", "--resume", str(cut), "--quiet"]) == 0
    assert len(drawn) > before
    theirs, ours = (load_file(r / "last" / "model.safetensors") for r in (run, cut))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_a_network_that_tells_which_classes_occur_learns_values(data, tmp_path):
    words = ["train", "--data", str(data), *SMALL, "--steps", "1", "--quiet"]
    words[words.index("fcn")], words[words.index("gc")] = "encnet", "none"
    assert main([*words, "--runs", str(tmp_path)]) == 0


@pytest.mark.parametrize("loss", ["huber", "log", "scale_invariant_log"])
def test_other_losses_train(data, tmp_path, loss):
    file = tmp_path / "settings.yaml"
    options = {"data": str(data), "loss": loss, "task_options": {"positive": True}, "steps": 2}
    file.write_text(json.dumps(options))
    assert main(["train", "--config", str(file), *SMALL, "--runs", str(tmp_path), "--quiet"]) == 0
    rows = (tmp_path / "train" / "1" / "steps.csv").read_text().splitlines()
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"loss": "log"}, "positive: true"),
        ({"loss": "cross_entropy"}, "cross_entropy"),
        ({"task": "multiclass"}, "multiclass"),
        ({"class_weights": "auto"}, "class_weights"),
        ({"task_options": {"mena": 1}}, "mean"),
        ({"task_options": {"mean": [1, 2]}}, "one per band"),
        ({"task_options": {"std": 0}}, "std"),
    ],
)
def test_wrong_settings_give_one_line(data, tmp_path, capsys, change, told):
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps({"data": str(data), "steps": 1, **change}))
    assert told in refused(capsys, "train", "--config", file, *SMALL, "--runs", tmp_path)


@pytest.mark.parametrize("positive", [False, True])
def test_values_below_zero_are_refused_where_they_have_no_logarithm(tmp_path, capsys, positive):
    data = depths(tmp_path / "d")
    data.write_text(YAML.replace("scale: 0.001", "scale: 0.001, offset: -3"))
    file = tmp_path / "settings.yaml"
    options = {"data": str(data), "loss": "log", "steps": 1, "task_options": {"positive": positive}}
    file.write_text(json.dumps(options))
    error = refused(capsys, "train", "--config", file, *SMALL, "--runs", tmp_path)
    assert "depth goes down to -0." in error


def without_values(data):
    for file in (data.parent / "train" / "depth").iterdir():
        Image.fromarray(np.zeros((48, 64), np.uint16)).save(file)
    return "known at no pixel"


def another_size(data):
    file = data.parent / "train" / "depth" / "p3.png"
    Image.fromarray(np.ones((48, 60), np.uint16)).save(file)
    return "p3.png: 48 x 60 pixels"


def a_missing_file(data):
    (data.parent / "val" / "depth" / "p1.png").unlink()
    return "p1.png has no mask"


def another_band(data):
    data.write_text(YAML.replace("values: {", "values: {height: , "))
    return "has 1 bands, but values has 2"


def half_a_file(data):
    file = data.parent / "train" / "depth" / "p0.png"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return "p0.png: cannot be read"


@pytest.mark.parametrize(
    "spoil", [without_values, another_size, a_missing_file, another_band, half_a_file]
)
def test_wrong_data_gives_one_line(tmp_path, capsys, spoil):
    data = depths(tmp_path / "d")
    told = spoil(data)
    words = ["train", "--data", data, *SMALL, "--steps", "1", "--runs", tmp_path]
    assert told in refused(capsys, *words)
    assert not (tmp_path / "train").exists()


def test_data_with_classes_is_not_evaluated(run, tmp_path, capsys):
    error = refused(capsys, "evaluate", run, "--data", "scenes:size=64,train=2,val=2,test=1")
    assert "numbers per pixel" in error


def test_a_real_band_is_learnt_and_predictions_lie_where_it_lies(real_data, tmp_path):
    file = real_data("geotiff/sample_geotiff.tif")  # uint16, 0 where there is no data
    for kind in ("images", "brightness"):
        (tmp_path / kind).mkdir()
        shutil.copy(file, tmp_path / kind / "a.tif")
    text = "train: images\nval: images\nmasks_dir: brightness\nscale: 4096\nvalues: [brightness]\n"
    (tmp_path / "data.yaml").write_text(text)
    words = ["train", "--data", str(tmp_path), *SMALL, "--steps", "30", "--crop", "128", "--quiet"]
    assert main([*words, "--runs", str(tmp_path), "--name", "one"]) == 0
    run, raw = tmp_path / "train" / "one", tifffile.imread(file)
    numbers = json.loads((run / "metrics.json").read_text())
    assert numbers["truth_pixels"] == {"brightness": int((raw > 0).sum())}
    assert numbers["rmse"] < raw[raw > 0].std()
    assert main(["predict", str(run), str(file), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    with tifffile.TiffFile(file) as ours, tifffile.TiffFile(tmp_path / "out" / file.name) as out:
        assert np.array_equal(np.isnan(out.asarray()), raw == 0)
        assert out.geotiff_metadata == ours.geotiff_metadata
