"""What is written is read back, by these readers and by others."""

import json
from pathlib import Path

import numpy as np
import pytest

from pixelwise.data.points import (
    Figure,
    read_points,
    write_coco_results,
    write_deeplabcut,
    write_plain,
)
from pixelwise.errors import InputError

NAMES = ("左耳", "tail")
POINTS = np.array([(3.5, 4.25), (np.nan, np.nan)])
VISIBLE = np.array([2, 0], np.uint8)
SCORES = np.array([0.75, 0.0])


def figure(name="v/a.png", **more):
    return Figure(Path(name), POINTS, VISIBLE, **more)


def test_plain(tmp_path):
    file = tmp_path / "out.csv"
    write_plain(file, [figure(), figure(), figure("v/b.png")], NAMES, [SCORES] * 3)
    assert file.read_text(encoding="utf-8").splitlines()[:3] == [
        "file,name,x,y,visible,figure,score",
        "v/a.png,左耳,3.0,3.75,2,0,0.75",
        "v/a.png,tail,,,0,0,0.0",
    ]
    labels = read_points(file)
    assert labels.names == NAMES
    assert [f.file.as_posix() for f in labels.figures] == ["v/a.png", "v/a.png", "v/b.png"]
    for read in labels.figures:
        np.testing.assert_array_equal(read.points, POINTS)
        np.testing.assert_array_equal(read.visible, VISIBLE)


def test_deeplabcut(tmp_path):
    file = tmp_path / "out.csv"
    write_deeplabcut(file, [figure()], NAMES, [SCORES], scorer="net")
    assert file.read_text(encoding="utf-8").splitlines() == [
        "scorer,net,net,net,net,net,net",
        "bodyparts,左耳,左耳,左耳,tail,tail,tail",
        "coords,x,y,likelihood,x,y,likelihood",
        "v/a.png,3.0,3.75,0.75,,,0.0",
    ]
    np.testing.assert_array_equal(read_points(file).figures[0].points, POINTS)
    with pytest.raises(InputError, match="has two figures; write a plain CSV instead"):
        write_deeplabcut(file, [figure(), figure()], NAMES, [SCORES] * 2)


def test_coco_results(tmp_path):
    file = tmp_path / "out.json"
    write_coco_results(file, [figure(image_id=7, category_id=3), figure(image_id=8)], [0.5, 0.25])
    assert json.loads(file.read_text()) == [
        {"image_id": 7, "category_id": 3, "keypoints": [3, 3.75, 2, 0, 0, 0], "score": 0.5},
        {"image_id": 8, "category_id": 1, "keypoints": [3, 3.75, 2, 0, 0, 0], "score": 0.25},
    ]
    with pytest.raises(InputError, match="has no image_id for COCO"):
        write_coco_results(file, [figure()], [0.5])
    with pytest.raises(InputError, match="scores: must be one number per figure, 1 of them"):
        write_coco_results(file, [figure(image_id=7)], [])


def test_pycocotools_reads_coco_results(tmp_path):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    names = {"keypoints": [*NAMES], "id": 3, "name": "mouse", "skeleton": []}
    truth = {"images": [{"id": 7, "file_name": "a.png"}], "annotations": [], "categories": [names]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    write_coco_results(tmp_path / "out.json", [figure(image_id=7, category_id=3)], [0.5])
    read = coco.COCO(str(tmp_path / "truth.json")).loadRes(str(tmp_path / "out.json"))
    (entry,) = read.loadAnns(read.getAnnIds(imgIds=[7]))
    assert entry["keypoints"] == [3, 3.75, 2, 0, 0, 0]
    assert entry["score"] == 0.5
