"""COCO: polygons and runs as its own library reads them, and files that are wrong."""

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.annotations.coco import runs, unpacked
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

YAML = "annotations: {train: a.json}\ntrain: images\n"
BOX = [1, 1, 5, 1, 5, 4, 1, 4]


def coco(*annotations, images=None, categories=None):
    rows = [{"id": i, "image_id": 1, "category_id": 7, **row} for i, row in enumerate(annotations)]
    return {
        "images": images or [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
        "categories": categories or [{"id": 9, "name": "tree"}, {"id": 7, "name": "roof"}],
        "annotations": rows,
    }


@pytest.fixture
def load(write, masks):
    def read(content, yaml=YAML):
        write("images/a.jpg")
        write("a.json", content)
        return np.array(masks(yaml)["a.jpg"])

    return read


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("seed", range(20))
def test_runs_as_pycocotools_packs_them(seed):
    library = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 400, 2).tolist()
    mask = np.zeros((height, width), np.uint8)
    for _ in range(5):
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask[top : top + rng.integers(1, 200), left : left + rng.integers(1, 90)] ^= 1
    packed = library.encode(np.asfortranarray(mask))
    found = runs(packed["size"], packed["counts"].decode(), "here")
    assert (found.covered(height, width)[2] == mask).all()
    plain = runs(packed["size"], unpacked(packed["counts"].decode(), "here"), "here")
    assert (plain.lengths == found.lengths).all()
    assert found.area == library.area(packed)


def test_polygons_runs_and_an_empty_picture(load, write, masks, tmp_path):
    images = [
        {"id": 1, "file_name": "a.jpg", "height": 6, "width": 8},
        {"id": 2, "file_name": "b.jpg"},
    ]
    write("images/b.jpg")
    found = load(
        coco(
            {"segmentation": [BOX, [6, 0, 8, 0, 8, 1, 6, 1]]},
            {"category_id": 9, "segmentation": {"size": [6, 8], "counts": [42, 6]}, "iscrowd": 1},
            images=images,
        )
    )
    expected = np.zeros((6, 8), int)
    expected[1:4, 1:5] = expected[0, 6:8] = 1
    expected[:, 7] = 2
    assert (found == expected).all()
    source = open_data(tmp_path)
    assert source.classes.names == ("background", "roof", "tree")
    assert source.contents == "3 classes, ignore 255, drawn in COCO"
    assert not source.split("train")[1].mask.any()
    assert source.split("train").size(0) == (6, 8)


def test_small_shapes_lie_on_top_unless_order_is_asked_for(load):
    content = coco({"segmentation": [[2, 2, 3, 2, 3, 3, 2, 3]], "category_id": 9},
                   {"segmentation": [BOX]})  # fmt: skip
    assert load(content)[2, 2] == 2
    assert load(content, YAML + "overlap: order\n")[2, 2] == 1


def test_what_labels_mean(load, refused):
    content = coco({"segmentation": [BOX]}, {"segmentation": [BOX], "category_id": 9})
    order = YAML + "overlap: order\n"
    assert load(content, order + "map: {tree: ignore}\n")[1, 1] == 255
    assert load(content, order + "map: {tree: roof}\n")[1, 1] == 1
    named = order + "names: [roof, background, wood]\n"
    found = load(content, named + "map: {tree: 2}\n")
    assert (found[1, 1], found[0, 0]) == (2, 1)
    found = load(content, order + "background: ignore\n")
    assert (found[1, 1], found[0, 0]) == (1, 255)
    assert "lacks the label 'tree' of 1 shapes; add it, or say under `map:`" in refused(named)
    assert "map: sends 'tree' to 'wod'; did you mean 'wood'" in refused(named + "map: {tree: wod}")
    told = refused(order + "names: [roof, tree]\n")
    assert "names: has no 'background' for pixels outside of all shapes" in told


def test_shapes_without_area_are_counted(load, tmp_path):
    line = [0, 0, 4, 4, 2, 2]
    found = load(
        coco(
            {"segmentation": [BOX]}, {"segmentation": [[1, 1, 2, 2]]}, {"segmentation": [line]},
            {"segmentation": []}, {"segmentation": {"size": [6, 8], "counts": [48]}},
        )
    )  # fmt: skip
    assert found.sum() == 12
    told = open_data(tmp_path).split("train").check().lines(("background", "roof", "tree"))
    assert any("masks   3 shapes without area left out of a.json, the first in" in t for t in told)
    assert any("1 shapes without segmentation (a box alone) left out" in line for line in told)


def test_what_is_drawn_changes_the_record(load, tmp_path):
    sums = []
    for box in (BOX, [1, 1, 5, 1, 5, 5, 1, 5]):
        load(coco({"segmentation": [box]}))
        sums.append(open_data(tmp_path).split("train").files()["images/a.jpg"])
    assert sums[0] != sums[1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"segmentation": [[1, 1, 2]]}, "annotation 0: must have pairs of numbers"),
        ({"segmentation": [[1, 1, 2, 2, float("nan"), 3]]}, "must have pairs of numbers"),
        ({"segmentation": [[1, 1, 2, 2, 1e300, 3]]}, "must have pairs of numbers"),
        ({"segmentation": [[1, 1, "x", 2]]}, "must have pairs of numbers"),
        ({"segmentation": "x"}, "segmentation must be polygons or runs"),
        ({"segmentation": {"size": [6, 8], "counts": [1, 2]}}, "do not fill 6 x 8 pixels"),
        ({"segmentation": {"size": [6, 8], "counts": [-1, 49]}}, "do not fill"),
        ({"segmentation": {"size": [6, 8], "counts": "é"}}, "which means nothing"),
        ({"segmentation": {"size": [6, 8], "counts": "o"}}, "its runs are cut off"),
        ({"segmentation": {"size": [8], "counts": [64]}}, "must have size and counts"),
        ({"segmentation": {"size": [8, 6], "counts": [48]}}, "8 x 6 pixels .*its image of 6 x 8"),
        ({"image_id": 5, "segmentation": [BOX]}, "image_id=5: is no image of the file"),
        ({"category_id": 5, "segmentation": [BOX]}, "category_id=5: is no category"),
        ({"category_id": [5], "segmentation": [BOX]}, "must be a number"),
    ],
)
def test_annotations_that_are_wrong(load, row, message):
    with pytest.raises(InputError, match=message) as caught:
        load(coco(row))
    assert "a.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_wrong(load, write, refused):
    load(coco({"segmentation": [BOX]}))
    for content, message in (
        ({"images": [], "annotations": {}, "categories": []}, "annotations must list"),
        ({"images": [], "annotations": []}, "categories must list"),
        (coco(images=[{"id": 1}]), "image 1: has no file_name"),
        (coco(images=[{"id": 1, "file_name": "a.jpg"}] * 2), "two images have the same id"),
        (coco(images=[{"id": i, "file_name": "a.jpg"} for i in (1, 2)]), "has the same picture"),
        (coco(images=[{"id": 1, "file_name": "c.jpg"}]), "1 of 1 names have no file in"),
        ({"x": 1}, "is not of COCO, labelme, Label Studio, Supervisely or YOLO"),
    ):
        write("a.json", content)
        assert message in refused(YAML)
    write("a.json", coco(images=[{"id": 1, "file_name": "a.jpg", "height": 8, "width": 6}]))
    told = refused(YAML)
    assert "states 8 x 6 pixels (height x width), but its picture, turned by its EXIF" in told


def test_a_turned_picture_has_the_size_as_it_is_shown(write, masks):
    write("images/a.jpg", exif=turned())
    images = [{"id": 1, "file_name": "a.jpg", "height": 8, "width": 6}]
    write("a.json", coco({"segmentation": [[0, 0, 6, 0, 6, 1, 0, 1]]}, images=images))
    found = np.array(masks(YAML)["a.jpg"])
    assert found.shape == (8, 6)
    assert (found[0] == 1).all()
    assert found.sum() == 6


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_a_file_per_split_beside_its_pictures(write, masks):
    """As Roboflow exports it: names may be the same in all splits."""
    for folder, box in (("train", BOX), ("valid", [0, 0, 8, 0, 8, 6, 0, 6])):
        write(f"{folder}/a.jpg")
        write(f"{folder}/_annotations.coco.json", coco({"segmentation": [box]}))
    yaml = "annotations: {train: train/_annotations.coco.json, val: valid/_annotations.coco.json}\n"
    assert np.sum(masks(yaml)["a.jpg"]) == 12
    assert np.sum(masks(yaml, "val")["a.jpg"]) == 48
