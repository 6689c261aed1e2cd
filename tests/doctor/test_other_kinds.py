"""Sets of points and numbers, drawn sets, and folders that nothing describes."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from whole_sets import COUNTS, describe, files, load, save, whole

from pixelwise.doctor.examine import examine
from pixelwise.doctor.facts import Job, Reading
from pixelwise.doctor.gather import gather
from pixelwise.doctor.guessing import described, guess
from pixelwise.doctor.mapping import propose
from pixelwise.doctor.regions import region_sizes
from pixelwise.errors import InputError


def keys(folder):
    return [f.key for f in examine(folder).findings if f.severity != "note"]


def points(folder, x=20):
    whole(folder)
    for split in COUNTS:
        rows = [f"{file.name},nose,{x},30" for file in files(folder, "images", split)]
        (folder / f"{split}.csv").write_text("\n".join(["file,name,x,y", *rows]))
    text = "labels: {train: train.csv, val: val.csv}\ntrain: train/images\nval: val/images\n"
    (folder / "data.yaml").write_text(text)
    return folder


def test_points(tmp_path):
    found = examine(points(tmp_path))
    assert found.may_start
    assert len(found.seen.pictures()) == sum(COUNTS.values())


def test_points_outside_and_a_leak(tmp_path):
    points(tmp_path, x=500)
    shutil.copy(files(tmp_path, "images", "train")[0], files(tmp_path, "images", "val")[0])
    assert {"refused", "leak"} <= set(keys(tmp_path))


def test_points_without_labels(tmp_path):
    points(tmp_path)
    (tmp_path / "train.csv").unlink()
    assert keys(tmp_path)[0] == "description"


def overlapping(folder):
    whole(folder)
    for file in files(folder, "masks"):
        for value, name in ((1, "building"), (2, "road")):
            target = file.parent / name / file.name
            target.parent.mkdir(exist_ok=True)
            save(target, (load(file) == value).astype(np.uint8))
        file.unlink()
    describe(folder, names=["building", "road"], overlapping="files")
    return folder


def test_labels_that_overlap(tmp_path):
    found = examine(overlapping(tmp_path))
    assert [f.line for f in found.findings if f.severity != "note"] == []
    assert len(found.seen.pictures()) == sum(COUNTS.values())


def test_a_label_is_missing_and_a_picture_is_damaged(tmp_path):
    overlapping(tmp_path)
    (tmp_path / "train/masks/road/p1.png").unlink()
    (tmp_path / "val/images/p1.png").write_bytes(b"")
    assert {"description", "picture-unreadable"} <= set(keys(tmp_path))


def numbers(folder):
    whole(folder)
    for file in files(folder, "masks"):
        tifffile.imwrite(file.with_suffix(".tif"), load(file).astype(np.float32) + 0.5)
        file.unlink()
    describe(folder, names=None, values={"depth": {"unit": "m"}})
    return folder


def test_numbers(tmp_path):
    assert keys(numbers(tmp_path)) == []


def test_numbers_of_another_size(tmp_path):
    numbers(tmp_path)
    tifffile.imwrite(tmp_path / "train/masks/p1.tif", np.ones((9, 9), np.float32))
    assert "sizes-differ" in keys(tmp_path)


@pytest.mark.parametrize(
    ("number", "key"), [(np.nan, "mask-empty"), (2.0, "mask-constant"), (-32768.0, "values-nodata")]
)
def test_numbers_that_measure_nothing(number, key, tmp_path):
    numbers(tmp_path)
    for file in files(tmp_path, "masks"):
        values = tifffile.imread(file)
        values[: 9 if key == "values-nodata" else None] = number
        tifffile.imwrite(file, values)
    assert key in keys(tmp_path)


def test_shapes_without_a_description(tmp_path):
    """Polygons of COCO beside their pictures are not taken for points."""
    whole(tmp_path)
    (tmp_path / "data.yaml").unlink()
    for split in COUNTS:
        shutil.rmtree(tmp_path / split / "masks")
    names = [file.relative_to(tmp_path).as_posix() for file in files(tmp_path, "images")]
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "roof"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "segmentation": [[2, 2, 40, 2, 40, 40]]}
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    found = examine(tmp_path)
    assert any("roof" in f.text for f in found.findings), found.findings


def test_drawn_sets():
    assert examine("scenes:size=64,train=6,val=3,test=1").may_start
    with pytest.raises(InputError, match="sise"):
        examine("scenes:sise=64")


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="nothing there"):
        examine(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="holds neither"):
        examine(tmp_path)


def test_processes_find_the_same(tmp_path):
    whole(tmp_path)
    pairs = zip(files(tmp_path, "images"), files(tmp_path, "masks"), strict=True)
    jobs = [Job("train", *pair) for pair in pairs] * 5
    reading = Reading(None, 0, 255, (), 179.0)
    done = []
    alone = gather(jobs, reading, 0)
    shared = gather(jobs, reading, 2, lambda i, n: done.append((i, n)))
    assert done == [(i + 1, len(jobs)) for i in range(len(jobs))]
    for one, other in zip(alone, shared, strict=True):
        assert (one.picture_name, one.mask.values) == (other.picture_name, other.mask.values)
        assert (one.fit.shifts == other.fit.shifts).all()


@pytest.mark.parametrize(
    ("pictures", "masks"),
    [
        ("train/images", "train/masks"),
        ("train/images", "train/labels"),
        ("images/train", "annotations/train"),
        ("JPEGImages", "SegmentationClass"),
        ("train_img", "train_gt"),
        ("train", "train_labels"),
    ],
)
def test_folders_are_guessed(pictures, masks, tmp_path):
    for place, kind in ((pictures, "images"), (masks, "masks")):
        (tmp_path / "set" / place).mkdir(parents=True)
        for file in files(whole(tmp_path / "whole" / kind), kind, "train"):
            shutil.copy(file, tmp_path / "set" / place / file.name)
    found = guess(tmp_path / "set")
    assert [(str(f.pictures), str(f.masks)) for f in found] == [(pictures, masks)]
    content = {**described(found), "names": ["a", "b", "c", "d", "e", "f", "g"], "path": "set"}
    (tmp_path / "data.yaml").write_text(json.dumps(content))
    examined = examine(tmp_path)
    assert [f.key for f in examined.findings if f.severity != "note"] == ["no-val"]


@pytest.mark.parametrize(
    ("values", "classes", "key"),
    [
        ([0, 255], 2, "values-0-255"),
        ([0, 65535], 2, "values-0-255"),
        ([1, 2, 3], 3, "values-from-1"),
        ([1, 3, 255], 3, "values-from-1"),
        ([0, 1, 3], 3, "values-zero-other"),
        ([0, 257, 514], 3, "values-grey-levels"),
        ([0, 85, 255], 4, "values-grey-levels"),
        ([0, 7, 26, 33], 19, "values-label-ids"),
        ([0, 1, 255], 2, "values-are-ids"),
        ([4, 9], 2, "values-grey-levels"),
        ([0, 1, 9], 2, None),
    ],
)
def test_meaning_of_values(values, classes, key):
    found = propose(dict.fromkeys(values, 100), classes, thin=False)
    assert (None if found is None else found.key) == key
    if found is not None:
        assert set(values) <= set(found.map)


def test_a_stray_file_beside_folders_of_masks(tmp_path):
    whole(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "info.json").write_text("{")
    assert set(keys(tmp_path)) == {"no-data-yaml", "no-names"}


def test_names_of_any_kind(tmp_path):
    whole(tmp_path)
    for kind in ("images", "masks"):
        for i, name in enumerate(("图 片", "a[1]", "b*", "-n", "ü" * 40)):
            file = tmp_path / "train" / kind / f"p{i}.png"
            file.rename(file.with_name(f"{name}.png"))
    (tmp_path / "train/masks/图 片.png").unlink()
    found = [f for f in examine(tmp_path).findings if f.severity != "note"]
    assert [f.key for f in found] == ["mask-missing"]
    assert found[0].files == ("train/images/图 片.png",)


def test_regions():
    ids = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0]])
    sizes = {label: bins[:4] for label, bins in region_sizes(ids).items()}
    # 0: three at the upper left, five on the right; 1: four above, four below on the left
    assert sizes == {0: (0, 1, 1, 0), 1: (0, 0, 2, 0)}


def described_otherwise(folder, **changes):
    describe(folder, **changes)
    return examine(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": ["train/images", "val/images"], "val": None, "split": {"val": 0.25}},
        {"train": ["train/images", "val/images"], "val": None, "split": {"folds": 3}},
        {"train": "train/images/*"},
        {"val": "val.txt"},
    ],
)
def test_splits_that_are_parts_of_folders(tmp_path, changes):
    whole(tmp_path)
    names = [file.relative_to(tmp_path).as_posix() for file in files(tmp_path, "images", "val")]
    (tmp_path / "val.txt").write_text("\n".join(names))
    found = described_otherwise(tmp_path, **changes)
    assert found.may_start, found.findings
    assert len(found.seen.pictures()) == sum(COUNTS.values())


def test_a_list_that_names_what_is_not_there(tmp_path):
    whole(tmp_path)
    (tmp_path / "val.txt").write_text("val/images/nothing.png\n")
    found = described_otherwise(tmp_path, val="val.txt")
    assert any("1 of 1 names have no file in" in f.text for f in found.findings)
    assert not found.may_start


def test_shapes_of_a_label_tool(tmp_path):
    whole(tmp_path)
    for split in COUNTS:
        for file in files(tmp_path, "images", split):
            shape = {"label": "roof", "points": [[2, 2], [20, 2], [20, 20]]}
            content = {"imagePath": file.name, "shapes": [shape]}
            file.with_suffix(".json").write_text(json.dumps(content))
    text = "annotations: {train: train/images, val: val/images}\ntrain: train/images\n"
    (tmp_path / "data.yaml").write_text(text + "val: val/images\n")
    found = examine(tmp_path)
    assert found.may_start, found.findings
    assert len(found.seen.pictures()) == sum(COUNTS.values())
    assert any("roof" in finding.text for finding in found.findings)
