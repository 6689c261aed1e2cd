"""Files of labelled points: what each says, and one line about what it cannot mean."""

import json

import numpy as np
import pytest

from pixelwise.data.points import HIDDEN, MISSING, SEEN, read_points
from pixelwise.errors import InputError

PLAIN = "file,name,x,y,visible\na.png,nose,3,4,2\na.png,tail,5,6,1\nb.png,nose,,,\n"
DLC = (
    "scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"
    "labeled-data/v/a.png,3,4,5,6.5\nlabeled-data/v/b.png,,,NaN,NaN\n"
    "labeled-data/v/c.png,-1,-1,7,8\n"
)


def coco(**changes):
    content = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
        "categories": [
            {"id": 1, "name": "mouse", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]},
            {"id": 2, "name": "bird", "keypoints": ["beak", "tail"]},
            {"id": 3, "name": "stone"},
        ],
        "annotations": [
            {
                "id": 11, "image_id": 7, "category_id": 1, "keypoints": [3, 4, 2, 0, 0, 0],
                "num_keypoints": 1, "bbox": [1, 2, 10, 8], "area": 60, "iscrowd": 0,
            },
            {"id": 12, "image_id": 8, "category_id": 2, "keypoints": [1, 2, 1, 5, 6, 2]},
            {"id": 13, "image_id": 8, "category_id": 1, "keypoints": [0] * 6, "num_keypoints": 0,
             "bbox": [0, 0, 0, 0], "area": 0},
            {"id": 14, "image_id": 8, "category_id": 1, "keypoints": [1] * 6, "iscrowd": 1},
            {"id": 15, "image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1]},
        ],
    }  # fmt: skip
    content["annotations"][0].update(changes)
    return content


def labelme(*shapes, picture="..\\images\\a.png"):
    return {"version": "5", "flags": {}, "imagePath": picture, "shapes": list(shapes)}


def shape(label, *place, kind="point", **more):
    return {"label": label, "points": [list(place)], "shape_type": kind, "flags": {}, **more}


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, name="labels.txt"):
        file = tmp_path / name
        if isinstance(content, dict):
            content = json.dumps(content, ensure_ascii=False)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_points(file)

    return write_and_read


def same(points, expected):
    np.testing.assert_array_equal(points, np.array(expected, np.float64))


NOWHERE = (np.nan, np.nan)


def test_plain(read):
    labels = read(PLAIN)
    assert labels.names == ("nose", "tail")
    first, second = labels.figures
    assert first.file.as_posix() == "a.png"
    same(first.points, [(3.5, 4.5), (5.5, 6.5)])
    assert first.visible.tolist() == [SEEN, HIDDEN]
    same(second.points, [NOWHERE, NOWHERE])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").replace("3;4", "3,0;4,0").encode(),
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: (text + "a.png,nose,3,4,2\n\n").encode(),
        lambda text: text.replace("file,name", "File, Name").encode(),
    ],
    ids=["mark", "windows", "semicolons", "utf-16", "twice", "capitals"],
)
def test_plain_as_programs_write_it(read, change):
    labels = read(change(PLAIN))
    same(labels.figures[0].points, [(3.5, 4.5), (5.5, 6.5)])
    assert len(labels.figures) == 2


def test_chinese_names_and_backslashes(read):
    labels = read("file,name,x,y\n小鼠\\图一.png,左耳,1,2\n")
    assert labels.names == ("左耳",)
    assert labels.figures[0].file.as_posix() == "小鼠/图一.png"


def test_figures_of_one_picture(read):
    labels = read("file,name,x,y,figure\na.png,nose,1,2,0\na.png,nose,3,4,1\n")
    assert [figure.points.tolist() for figure in labels.figures] == [[[1.5, 2.5]], [[3.5, 4.5]]]


def test_deeplabcut(read):
    labels = read(DLC)
    assert labels.names == ("nose", "tail")
    assert labels.figures[0].file.as_posix() == "labeled-data/v/a.png"
    same(labels.figures[0].points, [(3.5, 4.5), (5.5, 7.0)])
    assert labels.figures[1].visible.tolist() == [MISSING, MISSING]
    same(labels.figures[2].points, [NOWHERE, (7.5, 8.5)])


def test_deeplabcut_with_three_columns_of_index(read):
    text = DLC.replace("scorer,", "scorer,,,").replace("parts,", "parts,,,")
    text = text.replace("coords,", "coords,,,").replace("labeled-data/v/", "labeled-data,v,")
    assert [f.file.as_posix() for f in read(text).figures] == [
        f"labeled-data/v/{name}.png" for name in "abc"
    ]
    same(read(text).figures[0].points, [(3.5, 4.5), (5.5, 7.0)])


def test_deeplabcut_with_individuals(read):
    labels = read(
        "scorer,me,me,me,me,me,me\nindividuals,m1,m1,m2,m2,single,single\n"
        "bodyparts,nose,nose,nose,nose,door,door\ncoords,x,y,x,y,x,y\n"
        "a.png,1,2,3,4,5,6\nb.png,,,3,4,,\n"
    )
    assert labels.names == ("nose", "door")
    assert [figure.file.name for figure in labels.figures] == ["a.png"] * 3 + ["b.png"]
    same(labels.figures[2].points, [NOWHERE, (5.5, 6.5)])


def test_coco(read):
    labels = read(coco())
    assert labels.names == ("nose", "tail", "beak")
    assert labels.edges == ((0, 1),)
    mouse, bird, nothing = labels.figures
    same(mouse.points, [(3.5, 4.5), NOWHERE, NOWHERE])
    assert (mouse.box, mouse.area) == ((1, 2, 10, 8), 60)
    assert (mouse.image_id, mouse.figure_id, mouse.category_id) == (7, 11, 1)
    same(bird.points, [NOWHERE, (5.5, 6.5), (1.5, 2.5)])
    assert bird.visible.tolist() == [MISSING, SEEN, HIDDEN]
    assert bird.box is None
    assert not nothing.labelled.any()


@pytest.mark.parametrize(
    ("category", "names", "places"),
    [
        (None, ("nose", "tail", "beak"), 3),
        ("mouse", ("nose", "tail"), 2),
        ("bird", ("beak", "tail"), 1),
        (2, ("beak", "tail"), 1),
    ],
)
def test_a_category_is_chosen(tmp_path, category, names, places):
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(coco()))
    labels = read_points(file, category)
    assert labels.names == names
    assert len(labels.figures) == places
    with pytest.raises(InputError, match=r"category='birb': unknown category; did you mean 'bird'"):
        read_points(file, "birb")


def test_labelme(read):
    labels = read(
        labelme(
            shape("nose", 3.5, 4.5),
            shape("tail", 5, 6, flags={"occluded": True}),
            shape("body", 0, 0, kind="polygon"),
        ),
        "a.json",
    )
    (figure,) = labels.figures
    assert labels.names == ("nose", "tail")
    assert figure.file.as_posix() == "../images/a.png"
    same(figure.points, [(3.5, 4.5), (5, 6)])
    assert figure.visible.tolist() == [SEEN, HIDDEN]


def test_a_folder_of_labelme_files(tmp_path):
    (tmp_path / "v").mkdir()
    one = labelme(shape("nose", 1, 2), picture="a.png")
    two = labelme(shape("nose", 1, 2, group_id=1), shape("nose", 3, 4, group_id=2), picture="b.png")
    (tmp_path / "v" / "a.json").write_text(json.dumps(one))
    (tmp_path / "v" / "b.json").write_text(json.dumps(two))
    files = [figure.file.as_posix() for figure in read_points(tmp_path).figures]
    assert files == ["v/a.png", "v/b.png", "v/b.png"]
    (tmp_path / "v" / "c.json").write_text(json.dumps(one))
    with pytest.raises(InputError, match=r"c\.json: its picture v/a\.png is labelled in .*a\.json"):
        read_points(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; give a file with labelled points"),
        (" \n", "is empty"),
        (b"file,name,x,y\n\xff.png,a,1,2\n", "not text in UTF-8"),
        ("file,name,x\n", "has no column 'y'; give file,name,x,y[,visible], or a CSV of"),
        ("file,name,x,y\n", "has no row with a point; label some"),
        (PLAIN.replace("3,4", "three,4"), "line 2: 'three' is no number"),
        (PLAIN.replace("3,4,2", "3,4"), "line 2: has 4 of 5 columns"),
        (PLAIN.replace("3,4,2", "NaN,NaN,2"), "line 2: lacks a coordinate"),
        (PLAIN.replace("3,4,2", "inf,4,2"), "line 2: inf is no place in a picture"),
        (PLAIN.replace("3,4,2", "3,4,5"), "visible=5: must be 0, 1 or 2"),
        (PLAIN + "a.png,nose,9,9,2\n", "line 5: 'nose' of a.png has another place before"),
        (PLAIN.replace("a.png,nose", ",nose"), "line 2: names no picture"),
        (DLC.replace("coords,x,y,x,y", "coords,x,y,x,z"), "'tail' has no column 'y'"),
        (DLC.replace("coords", "places"), "has no row 'coords'; give a CollectedData CSV"),
        (DLC.replace("tail", "nose"), "bodypart 'nose' has 'x' twice"),
        (DLC.replace("5,6.5", "5,x"), "line 4, 'tail': 'x' is no number"),
        (DLC.replace("5,6.5", "5,"), "line 4: 'tail' has one coordinate of two"),
        (DLC + "labeled-data/v/a.png,1,1,1,1\n", "a.png has another row before; keep one"),
        (json.dumps(coco())[:200], "not whole JSON"),
        ({"a": 1}, "has neither 'annotations' nor 'shapes'"),
        ("[]", "is a list; give the labels"),
        (coco(bbox=[1, 2, 0, 8]), "annotations[0]: bbox=[1, 2, 0, 8]: has no area"),
        (coco(bbox=[1, 2]), "must be left, top, width, height"),
        (coco(keypoints=[float("nan"), 4, 2, 0, 0, 0]), "point 0 lies at (nan, 4); write pixels"),
        (coco(keypoints=[1, 2, 2]), "keypoints must be 3 x 2 numbers, not 3"),
        (coco(keypoints=[1, 2, 3, 0, 0, 0]), "visible=3 of point 0: must be 0, 1 or 2"),
        (coco(keypoints=["a", 2, 2, 0, 0, 0]), "keypoints must be numbers"),
        (coco(image_id=9), "image_id=9: is none of `images`"),
        (coco(area="big"), "area='big': must be square pixels"),
        ({**coco(), "categories": [{"id": 1}]}, "no category has keypoints"),
        ({**coco(), "images": None}, "has no list 'images'"),
        (
            {**coco(), "images": [{"id": 7, "file_name": name} for name in ("a.png", "b.png")]},
            "images[1]: id=7: is that of a.png too",
        ),
        (coco(id=12), "annotations[1]: id=12: is that of annotations[0] too"),
        (coco(category_id=9), "annotations[0]: category_id=9: is none of `categories`"),
        (
            {**coco(), "categories": [*coco()["categories"], {"id": 1, "keypoints": ["eye"]}]},
            "categories[3]: id=1: is that of another too",
        ),
        (PLAIN.replace("a.png", '"a.png'), "the name of the picture has several lines; close"),
        (labelme(), "has no shape of type point; label some"),
        (labelme(shape("a", 1)), "point 'a': must be two numbers in pixels"),
        (labelme(shape("a", 1, float("nan"))), "point 'a': must be two numbers in pixels"),
        (labelme(shape("", 1, 2)), "shapes[0]: has no label"),
        (labelme(shape("a", 1, 2), shape("a", 3, 4)), "point 'a' stands twice"),
        (labelme(shape("a", 1, 2), picture="x" * 300), "imagePath: names no picture"),
        (json.dumps(labelme(shape("a", 1, 2), picture="\ud800")), "imagePath: names no picture"),
        (labelme(shape("a", 1, 2), picture=""), "imagePath: names no picture"),
    ],
)
def test_wrong_files_are_told_in_one_line(read, tmp_path, content, message):
    with pytest.raises(InputError) as told:
        read(content)
    assert message in str(told.value)
    assert str(tmp_path / "labels.txt") in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no\.csv: no such file; check the path"):
        read_points(tmp_path / "no.csv")
    with pytest.raises(InputError, match="has no labelme JSON in it"):
        read_points(tmp_path)
