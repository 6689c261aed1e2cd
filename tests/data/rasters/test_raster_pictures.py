"""Tiles as samples: read on demand in any process, kept, watched for changes, and trained on."""

import os
import pickle

import numpy as np
import pytest
import torch
from affine import Affine
from torch.utils.data import DataLoader

from pixelwise.cli.main import main
from pixelwise.data.cache import keep
from pixelwise.data.cache_size import CacheSize
from pixelwise.data.opening import open_data
from pixelwise.data.rasters.opened import MOST, Opened
from pixelwise.data.reading import read_picture
from pixelwise.data.stream import TrainingStream
from pixelwise.errors import InputError
from rasters_on_disk import STRAIGHT, box

NAMES = "names: [background, building]\ntile: 64\nsplit: {val: 0.2, gap: 8}\n"


@pytest.fixture
def data(image, features, described):
    """A data.yaml of one raster with buildings."""
    image()
    squares = [[box(x, y, x + 20, y + 16)] for x in range(0, 190, 40) for y in range(0, 120, 32)]
    features("l.geojson", squares)
    return described(["{image: ortho.tif, labels: l.geojson}"], NAMES)


def test_a_tile_holds_what_the_whole_picture_holds_there(data):
    whole = read_picture(data.parent / "ortho.tif").values
    train = open_data(data).split("train")
    for i, (_, (top, left, height, width)) in enumerate(train.windows):
        sample = train[i]
        assert torch.equal(sample.image, whole[:, top : top + height, left : left + width])
        assert sample.name.endswith(f"ortho[{top},{left}].tif")
        assert train.size(i) == tuple(sample.mask.shape)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_values_are_those_of_read_picture(raster, features, described, dtype):
    numbers = np.random.default_rng(0).integers(0, 900, (5, 128, 192)).astype(dtype)
    if dtype == "float32":
        numbers[0, :20, :20] = np.nan
    raster("ortho.tif", numbers, nodata=3)
    features("l.geojson", [[box(10, 10, 90, 90)]])
    more = f"{NAMES}bands: [4, 0, 1]\nnodata: 5\n"
    source = open_data(described(["{image: ortho.tif, labels: l.geojson}"], more))
    whole = read_picture(source.config.entries[0].image, [4, 0, 1], 3, nodata=[5.0])
    train = source.split("train")
    _, (top, left, height, width) = train.windows[0]
    rows, columns = slice(top, top + height), slice(left, left + width)
    sample = train[0]
    assert sample.dtype == whole.dtype == dtype
    assert torch.equal(sample.image.nan_to_num(), whole.values[:, rows, columns].nan_to_num())
    assert torch.equal(sample.missing, whole.missing[rows, columns])
    assert (sample.mask[sample.missing] == 255).all()


def test_tiles_of_which_nothing_is_known_are_left_out_and_no_known_pixel_is(raster, described):
    picture, labels = np.full((2, 1, 128, 192), 255, np.uint8)
    picture[0, 40:70, 60:190] = 9
    labels[0, :64, :] = 0
    labels[0, 5, 5] = 1
    raster("ortho.tif", picture, nodata=255)
    raster("l.tif", labels)
    source = open_data(described(["{image: ortho.tif, labels: l.tif}"], NAMES.replace("8", "0")))
    windows = [w for split in source.splits for _, w in source.split(split).windows]
    assert {(w.top, w.left) for w in windows} == {(0, 0), (0, 64), (0, 128)}


def test_a_pattern_names_many_rasters(image, raster, described):
    for i, name in enumerate(("a", "b", "道路")):
        image(f"{name}.tif", transform=STRAIGHT @ Affine.translation(300 * i, 0))
        labels = np.eye(128, 192, dtype=np.uint8)[None]
        raster(f"{name}_l.png.tiff", labels, transform=STRAIGHT @ Affine.translation(300 * i, 0))
    entries = ['{image: "*.tif", labels: "*_l.png.tiff"}']
    source = open_data(described(entries, NAMES))
    assert [one.image.stem for one in source.config.entries] == ["a", "b", "道路"]
    with pytest.raises(InputError, match="no raster in"):
        open_data(described(['{image: "x*.tif", labels: "*_l.png.tiff"}'], NAMES))


def stream(pictures):
    mean = (0.5,) * 3
    return TrainingStream(pictures, (48, 48), 0, mean=mean, std=(0.2,) * 3, scale=255.0)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_items(data):
    items = stream(open_data(data).split("train"))
    alone = [items[g] for g in range(12)]  # files are open here before others begin
    loader = DataLoader(items, batch_size=None, sampler=range(12), num_workers=2)
    for (image, mask, name), (same, of_it, named) in zip(alone, loader, strict=True):
        assert torch.equal(image, same)
        assert torch.equal(mask, of_it)
        assert name == named


def test_tiles_go_to_processes_that_share_nothing(data):
    train = open_data(data).split("train")
    sent = pickle.loads(pickle.dumps(train))
    assert torch.equal(train[1].image, sent[1].image)
    assert torch.equal(train[1].mask, sent[1].mask)


def test_kept_samples_are_the_same(data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    train = open_data(data).split("train")
    kept, _ = keep({"train": train}, CacheSize("disk", 10**8))
    for _ in range(2):
        for i in range(len(train)):
            assert torch.equal(kept["train"][i].mask, train[i].mask)
            assert torch.equal(kept["train"][i].image, train[i].image)


def test_what_files_hold_is_watched(data):
    before = open_data(data).split("train")
    again = open_data(data).split("train")
    assert before.origin(0) == again.origin(0) != before.origin(1)
    files = before.files()
    assert files == again.files()
    (name,) = files
    text = (data.parent / "l.geojson").read_text()
    (data.parent / "l.geojson").write_text(text + "\n")
    assert open_data(data).split("train").files()[name][1] != files[name][1]
    data.write_text(data.read_text().replace("gap: 8", "gap: 16"))
    assert open_data(data).split("train").meaning != before.meaning


def test_no_process_uses_what_another_opened(monkeypatch):
    opened, process = Opened(), os.getpid()
    assert opened.get("a", lambda: 1) == opened.get("a", lambda: 2) == 1
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    assert opened.get("a", lambda: 2) == 2
    made = []
    for i in range(MOST + 1):
        opened.get(i, lambda i=i: made.append(i))
    opened.get(0, lambda: made.append("again"))
    assert made[-1] == "again"
    assert pickle.loads(pickle.dumps(opened)).get("a", lambda: 3) == 3


@pytest.mark.slow
def test_check_data_tells_what_there_is(data, tmp_path, capsys):
    assert main(["check-data", str(data), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "building" in told
    assert "gaps of 8 pixels" in told


@pytest.mark.slow
def test_train_evaluate_and_go_on(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--model", "fcn", "--backbone", "test_resnet", "--crop", "32x32", "--batch-size", "2"]
    for workers, name in ((0, "a"), (2, "b")):
        steps = ["--steps", "4", "--workers", str(workers), "--name", name, "--runs", "runs"]
        given = [*small, *steps, "--augment", "{mosaic: 0.5}", "--balance", "auto"]
        assert main(["train", "--data", str(data), *given]) == 0
    one, other = (
        (tmp_path / "runs" / "train" / name / "model.safetensors").read_bytes() for name in "ab"
    )
    assert one == other
    out = ["--out", "scores", "--data", str(data)]
    assert main(["evaluate", "runs/train/a", *out]) == 0
    assert "building" in capsys.readouterr().out
    assert main(["predict", "runs/train/a", "ortho.tif", "--out", "classes.tif"]) == 0
