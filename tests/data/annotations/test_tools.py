"""labelme, YOLO, Supervisely and Label Studio."""

import base64
import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.annotations.label_studio import unpack
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError


def png(mask, mode="1"):
    mask = np.array(mask, np.uint8) * 255
    image = Image.fromarray(mask)
    if mode == "RGBA":
        image = Image.fromarray(np.dstack([np.full_like(mask, 255)] * 3 + [mask]))
    else:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def painted(*parts, size=(6, 8)):
    mask = np.zeros(size, int)
    for rows, columns, value in parts:
        mask[rows, columns] = value
    return mask.tolist()


def labelme(*shapes, name="a.jpg", **more):
    rows = [
        {"label": label, "shape_type": kind, "points": points, **other}
        for label, kind, points, *rest in shapes
        for other in (rest or [{}])
    ]
    return {"imagePath": name, "imageHeight": 6, "imageWidth": 8, "shapes": rows, **more}


SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]


def test_labelme(write, masks, tmp_path):
    write("in/a.jpg")
    write("in/b.jpg")
    mask = base64.b64encode(png([[1, 0], [1, 1]])).decode()
    write(
        "in/a.json",
        labelme(
            ("roof", "polygon", SQUARE),
            ("tree", "rectangle", [[8, 6], [6, 5]]),
            ("roof", "mask", [[6, 0], [7, 1]], {"mask": mask}),
            ("post", "point", [[3, 3]]),
            ("__ignore__", "polygon", [[0, 5], [2, 5], [2, 6], [0, 6]]),
            ("tree", "polygon", [[3, 3], [4, 3], [4, 4], [3, 4]]),
            name="..\\in\\a.jpg",
        ),
    )
    write("in/b.json", labelme(("tree", "circle", [[4, 3], [4, 5.6]]), name="b.jpg"))
    yaml = "annotations: in\nsplit: {val: 0, test: 0}\n"
    found = masks(yaml)
    assert found["a.jpg"] == painted(
        (slice(1, 4), slice(1, 4), 1), (5, slice(6, 8), 2), (0, 6, 1), (1, slice(6, 8), 1),
        (5, slice(0, 2), 255), (3, 3, 2),
    )  # fmt: skip
    rows, columns = np.indices((6, 8)) + 0.5
    inside = (rows - 3) ** 2 + (columns - 4) ** 2 < 2.6**2
    assert (np.array(found["b.jpg"]) == 2 * inside).all()
    source = open_data(tmp_path)
    assert source.classes.names == ("background", "roof", "tree")
    told = source.split("train").check().lines(source.classes.names)
    assert any("1 shapes that are points or lines left out of in" in line for line in told)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("", "polygon", SQUARE), r"shapes\[0\]: has no label"),
        (("a", "circle", SQUARE), "a circle must have two points"),
        (("a", "polygon", [[1, 2, 3]]), "must have pairs of numbers"),
        (("a", "polygon", None), "must have pairs of numbers"),
        (("a", "mask", [[0, 0], [1, 1]], {"mask": "%%"}), "its bitmap is damaged"),
        (("a", "mask", [[0, 0], [1, 1]], {"mask": "iVBORw0KGgo="}), "its bitmap is damaged"),
    ],
)
def test_labelme_that_is_wrong(write, refused, shape, message):
    write("in/a.jpg")
    write("in/a.json", labelme(shape, ("b", "polygon", SQUARE)))
    assert re.search(message, refused("annotations: in\nsplit: {val: 0}\n"))


def test_pictures_without_a_file_are_told(write, masks, tmp_path):
    for name in ("a", "b", "c"):
        write(f"in/{name}.jpg")
    write("in/a.json", labelme(("roof", "polygon", SQUARE)))
    assert [*masks("annotations: in\ntrain: in\n")] == ["a.jpg"]
    told = open_data(tmp_path).split("train").check().lines(("background", "roof"))
    assert "masks   2 images of train are not in in: b.jpg, c.jpg" in told


def test_yolo(write, masks, refused, tmp_path):
    for split in ("train", "val"):
        write(f"images/{split}/a.jpg")
        write(f"images/{split}/empty.jpg")
    write("labels/train/a.txt", "1 0 0 0.5 0 0.5 0.5 0 0.5\n0 0.25 0 0.5 0 0.5 0.5 0.25 0.5\n")
    write("labels/val/a.txt", "0 -0.1 0 1.2 0 1.2 1 0 1\n")
    write("labels/classes.txt", "x\n")
    yaml = "annotations: labels\ntrain: images/train\nval: images/val\n"
    names = "names: [background, roof, tree]\n"
    found = masks(yaml + names)
    assert found["a.jpg"] == painted((slice(0, 3), slice(0, 4), 2), (slice(0, 3), slice(2, 4), 1))
    assert found["empty.jpg"] == painted()
    assert np.array(masks(yaml + names, "val")["a.jpg"]).all()
    assert "names: must be told, since YOLO numbers its classes" in refused(yaml)
    assert "lacks the label '1' of 1 shapes" in refused(yaml + "names: [background, roof]\n")
    for line, message in (
        ("0 0.5 0.5 0.2 0.2", "line 1: is a box, not a polygon; export it for segmentation"),
        ("roof 0 0 1 0 1 1", "must be `class x1 y1 x2 y2 ...`"),
        ("0 0 0 nan 0 1 1", "must be `class x1 y1 x2 y2 ...`"),
        ("0 0 0 120 0 120 80", "must have shares of the picture's width and height"),
        ("0 0 0 1 0 1 1 0", "has 7 numbers after the class; give pairs"),
    ):
        write("labels/train/a.txt", line)
        assert message in refused(yaml + names)


@pytest.mark.parametrize("more", ["nc: 2\n", ""])
def test_the_data_yaml_of_yolo(write, masks, refused, tmp_path, more):
    for split in ("train", "valid"):
        write(f"{split}/images/a.jpg")
        write(f"{split}/labels/a.txt", "1 0 0 1 0 1 0.5 0 0.5\n")
    write("test/images/a.jpg")
    names = "names: {0: roof, 1: background}\n"
    yaml = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n" + names + more
    assert masks(yaml)["a.jpg"] == painted((slice(0, 3), slice(0, 8), 2))
    source = open_data(tmp_path)
    assert (source.classes.names, source.splits) == (
        ("no class", "roof", "background"), ("train", "val"),
    )  # fmt: skip
    if more:
        (tmp_path / "train/labels/a.txt").unlink()
        (tmp_path / "valid/labels/a.txt").unlink()
        assert "is a data.yaml of YOLO (nc), but there are no .txt files in" in refused(yaml)
        assert "which are not read; use COCO's" in refused(yaml + "kpt_shape: [1, 2]\n")


def supervisely(*objects):
    return {"description": "", "size": {"height": 6, "width": 8}, "objects": [*objects]}


def bitmap(mask, left, top, label="roof", mode="1"):
    data = base64.b64encode(zlib.compress(png(mask, mode))).decode()
    return {
        "classTitle": label,
        "geometryType": "bitmap",
        "bitmap": {"origin": [left, top], "data": data},
    }


def test_supervisely(write, masks, refused, tmp_path):
    write("set/img/a.jpg")
    write("meta.json", {"classes": [{"title": "tree"}, {"title": "roof"}]})
    polygon = {
        "classTitle": "tree",
        "geometryType": "polygon",
        "points": {
            "exterior": [[0, 0], [5, 0], [5, 5], [0, 5]],
            "interior": [[[1, 1], [3, 1], [3, 3], [1, 3]]],
        },
    }
    box = {"classTitle": "tree", "geometryType": "rectangle",
           "points": {"exterior": [[7, 4], [6, 5]], "interior": []}}  # fmt: skip
    line = {"classTitle": "tree", "geometryType": "line", "points": {"exterior": [[0, 0], [1, 1]]}}
    objects = [
        polygon,
        bitmap([[1, 1], [1, 1]], 7, -1),
        bitmap([[1]], 4, 4, mode="RGBA"),
        box,
        line,
    ]
    write("set/ann/a.jpg.json", supervisely(*objects))
    yaml = "annotations: .\nsplit: {val: 0}\n"
    expected = painted(
        (slice(0, 6), slice(0, 6), 1), (slice(1, 4), slice(1, 4), 0), (4, 4, 2), (0, 7, 2),
        (slice(4, 6), slice(6, 8), 1),
    )  # fmt: skip
    assert masks(yaml)["a.jpg"] == expected
    assert open_data(tmp_path).classes.names == ("background", "tree", "roof")
    broken = bitmap([[1]], 0, 0)
    broken["bitmap"]["data"] = "AAAA"
    write("set/ann/a.jpg.json", supervisely(broken))
    assert "objects[0]: its bitmap is damaged" in refused(yaml)


def packed(numbers, word=8, sizes=(3, 4, 8, 16)):
    """A brush as Label Studio packs it, with runs of equal numbers and stretches of others."""
    bits = f"{len(numbers):032b}{word - 1:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    numbers = [int(n) for n in numbers]
    i = 0
    while i < len(numbers):
        end = i + 1
        while end < len(numbers) and numbers[end] == numbers[i]:
            end += 1
        equal = end - i > 2
        if not equal:
            end = min(i + 5, len(numbers))
        which = next(k for k, size in enumerate(sizes) if end - i - 1 < 2**size)
        bits += f"{int(equal)}{which:02b}{end - i - 1:0{sizes[which]}b}"
        bits += "".join(f"{n:0{word}b}" for n in (numbers[i : i + 1] if equal else numbers[i:end]))
        i = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


@pytest.mark.parametrize("seed", range(10))
def test_brushes_are_unpacked(seed):
    rng = np.random.default_rng(seed)
    numbers = np.repeat(rng.integers(0, 256, 40), rng.integers(1, 30, 40))
    assert (unpack(np.array(packed(numbers), np.uint8), "here") == numbers).all()
    data = np.array(packed(numbers), np.uint8)
    for length in range(len(data) - 1):
        with pytest.raises(InputError, match=r"its brush is (cut off|damaged)"):
            unpack(data[:length], "here")


def task(*regions, image="/data/upload/3/0a1b2c3d-a.jpg", **more):
    size = {"original_height": 6, "original_width": 8, "image_rotation": 0}
    result = [{"type": kind, "value": value, **size} for kind, value in regions]
    return {"id": 5, "data": {"image": image}, "annotations": [{"result": result}], **more}


def region(kind, label, **value):
    return kind, {kind: [label], **value}


def test_label_studio(write, masks, tmp_path):
    write("images/a.jpg")
    write("images/b c.jpg")
    mask = np.zeros((6, 8), np.uint8)
    mask[0, 0] = mask[5, 3:] = 255
    brush = {"format": "rle", "rle": packed(np.repeat(mask.ravel(), 4))}
    polygon = [[12.5, 100 / 6], [50, 100 / 6], [50, 50], [12.5, 50]]
    write(
        "export.json",
        [
            task(
                region("polygonlabels", "roof", points=polygon),
                region("brushlabels", "tree", **brush),
                region("rectanglelabels", "roof", x=75, y=0, width=25, height=50, rotation=0),
                region("keypointlabels", "roof", x=1, y=1),
            ),
            task(image="/data/local-files/?d=images/b%20c.jpg"),
            task(id=9) | {"annotations": []},
        ],
    )
    found = masks("annotations: export.json\nsplit: {val: 0}\n")
    assert found["a.jpg"] == painted(
        (slice(1, 3), slice(1, 4), 1), (0, 0, 2), (5, slice(3, 8), 2), (slice(0, 3), slice(6, 8), 1)
    )
    assert found["b c.jpg"] == painted()
    told = open_data(tmp_path).split("train").check().lines(("background", "roof", "tree"))
    assert any("1 shapes that are neither polygons nor brushes left out" in line for line in told)
    assert any("1 shapes of pictures that nobody has labelled left out" in line for line in told)


def test_label_studio_turned_shapes(write, masks):
    write("images/a.jpg", size=(8, 8))
    size = {"original_height": 8, "original_width": 8}
    regions = [
        region("rectanglelabels", "a", x=100, y=0, width=100, height=25, rotation=90),
        region("ellipselabels", "b", x=25, y=50, radiusX=25, radiusY=12.5, rotation=90),
    ]
    result = [{"type": kind, "value": value, **size} for kind, value in regions]
    write("e.json", [{"data": {"image": "a.jpg"}, "annotations": [{"result": result}]}])
    found = np.array(masks("annotations: e.json\nsplit: {val: 0}\n")["a.jpg"])
    assert (found[:, 6:] == 1).all()
    rows, columns = np.indices((8, 6)) + 0.5
    assert ((found[:, :6] == 2) == (((rows - 4) / 2) ** 2 + (columns - 2) ** 2 < 1)).all()


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([task(image="x")], "task 5: names no picture"),
        ([task() | {"annotations": [{"result": []}] * 2}], "task 5: has 2 annotations; keep one"),
        ([task(("polygonlabels", {"polygonlabels": ["a", "b"], "points": []}))], "keep one"),
        ([task(region("brushlabels", "a", format="rle", rle=[1, 2]))], "its brush is cut off"),
        ([task(region("brushlabels", "a", format="rle", rle=packed([0] * 8)))], "has 2 pixels"),
        ([task(region("brushlabels", "a", format="rle", rle=[300]))], "its brush is damaged"),
        ([task(region("brushlabels", "a", format="png"))], "not of format rle"),
        ([task(region("polygonlabels", "a", points=[[1, 2], ["x"]]))], "must have pairs"),
        ([task(region("polygonlabels", "a", points=[[0, 0], [90, 0], [90, 90]]))], "two"),
    ],
)  # fmt: skip
def test_label_studio_that_is_wrong(write, refused, tasks, message):
    write("images/a.jpg")
    write("export.json", tasks)
    if message == "two":  # one picture alone cannot be shared out
        assert "leave none for 'train'" in refused("annotations: export.json\n")
    else:
        assert message in refused("annotations: export.json\nsplit: {val: 0}\n")


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("annotations: nothing.json", "nothing.json: no such file or folder"),
        ("annotations: a.txt", "a.txt: is no JSON; give a file of COCO"),
        ("annotations: broken.json", "broken.json: is no JSON ("),
        ("annotations: empty", "empty: holds no file of COCO"),
        ("annotations: 3", "annotations=3: must be a file or a folder"),
        ("annotations: {vale: in}", "split='vale': unknown split; did you mean 'val'"),
        ("annotations: {train: in}\nval: in", "annotations: has no file for 'val'"),
        ("annotations: in\ntrain: in\nval: in\nsplit: {val: 0.5}", "the splits are told already"),
        ("annotations: in\noverlap: top", "overlap='top': must be one of 'order', 'area'"),
        ("annotations: in\nmasks: x", "key='masks': unknown key"),
        ("annotations: in\nbackground: 3", "background=3: must be a class, or ignore"),
        ("annotations: in\nmap: [a]", "must be {label: class or ignore}"),
        ("annotations: in\ntrain: nowhere", "nowhere, which is no folder; check the path"),
        ("annotations: in\nimages: nowhere", "nowhere is no folder; check the path"),
        ("annotations: in\ntrain: list.txt", "list.txt, which is no file; check the path"),
        (f"annotations: in\ntrain: {'x' * 300}", "a place in it cannot be read (File name too"),
    ],
)
def test_a_data_yaml_that_is_wrong(write, refused, tmp_path, yaml, message):
    write("in/a.jpg")
    write("in/a.json", labelme(("roof", "polygon", SQUARE)))
    write("a.txt", "x")
    (tmp_path / "broken.json").write_text('{"a": ')
    (tmp_path / "empty").mkdir()
    assert message in refused(yaml + "\n")


def test_names_of_pictures(write, masks, refused):
    write("one/x/a.jpg")
    write("one/y/a.jpg")
    write("one/y/名字.png")
    write("in/1.json", labelme(("roof", "polygon", SQUARE), name="y/a.jpg"))
    write("in/2.json", labelme(("roof", "polygon", SQUARE), name="D:/all/名字.png"))
    yaml = "annotations: in\nimages: one\nsplit: {val: 0.5}\n"
    assert len(masks(yaml)) == len(masks(yaml, "val")) == 1
    write("in/1.json", labelme(("roof", "polygon", SQUARE), name="a.jpg"))
    assert "a.jpg may be" in refused(yaml)
    write("in/1.json", labelme(("roof", "polygon", SQUARE), name="名字.png"))
    assert "has the same picture; keep one" in refused(yaml)
