"""Labels of points without a data.yaml: projects, folders and files alone."""

import json

import numpy as np
import pytest

from pixelwise import yaml_files
from pixelwise.cli.main import main
from pixelwise.data.opening import open_data
from pixelwise.data.points import FolderPoints
from pixelwise.errors import InputError

CONFIG = r"""
Task: reach
scorer: me
date: Mar29
multianimalproject: false
video_sets:
  ? C:\Users\me\one.avi
  : crop: 0, 640, 0, 480
bodyparts:
- tail
- nose
skeleton:
- - bodypart1
  - objectA
- - nose
  - tail
TrainingFraction:
- 0.95
"""
PICTURES = [f"img{i}.png" for i in range(6)]


def table(names, points=("nose", "tail"), first="{}", index=1, individuals=()):
    """A CollectedData CSV."""
    cells = [(a, p, c) for a in individuals or ("",) for p in points for c in "xy"]
    gap = "," * index
    rows = ["scorer" + gap + ",".join("me" for _ in cells)]
    if individuals:
        rows.append("individuals" + gap + ",".join(a for a, _, _ in cells))
    rows.append("bodyparts" + gap + ",".join(p for _, p, _ in cells))
    rows.append("coords" + gap + ",".join(c for _, _, c in cells))
    for name in names:
        values = ",".join(str(3 + 5 * k) for k in range(len(cells)))
        rows.append(f"{first.format(name)},{values}")
    return "\n".join(rows) + "\n"


def coco(names):
    return json.dumps(
        {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
            "categories": [{"id": 1, "name": "m", "keypoints": ["nose", "tail"]}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "keypoints": [3, 8, 2, 13, 18, 2]}
                for i in range(len(names))
            ],
        }
    )


def labelme(name):
    shapes = [
        {"label": label, "points": [[x, y]], "shape_type": "point", "group_id": None}
        for label, x, y in (("nose", 3.5, 8.5), ("tail", 13.5, 18.5))
    ]
    polygon = {"label": "body", "points": [[0, 0], [5, 5], [0, 9]], "shape_type": "polygon"}
    return json.dumps(
        {"imagePath": f"..\\x\\{name}", "imageData": "AAAA", "shapes": [*shapes, polygon]}
    )


@pytest.fixture
def project(write_pictures):
    """A DeepLabCut project with two videos."""
    folder = write_pictures(*(f"labeled-data/{v}/{name}" for v in "ab" for name in PICTURES))
    for video in "ab":
        text = table(PICTURES, first=f"labeled-data/{video}/{{}}")
        (folder / "labeled-data" / video / "CollectedData_me.csv").write_text(text)
    (folder / "config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture
def beside(write_pictures):
    """A folder of pictures, with files beside them."""

    def write(**files):
        folder = write_pictures(*PICTURES)
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_json", ".json").replace(
                "_csv", ".csv"
            )
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return write


@pytest.mark.parametrize("inside", ["", "config.yaml"])
def test_a_project(project, inside):
    source = open_data(project / inside)
    assert isinstance(source, FolderPoints)
    assert source.name == project.name
    assert source.skeleton.names == ("tail", "nose")  # as config.yaml has them
    assert source.skeleton.edges == ((1, 0),)
    videos = {s: {f.file.parent.name for f in source.split(s).figures} for s in source.splits}
    assert all(len(names) == 1 for names in videos.values())
    assert videos["train"] != videos["val"]
    assert source.split("val")[0].points.tolist() == [[13.5, 18.5], [3.5, 8.5]]
    assert "split by folder, 2 of them: val" in source.contents


def test_a_project_without_its_config(project):
    (project / "config.yaml").unlink()
    source = open_data(project)
    assert source.skeleton.names == ("nose", "tail")
    assert [len(source.split(split)) for split in source.splits] == [6, 6]


def test_a_project_with_tables_that_are_not_read(project):
    for file in project.rglob("*.csv"):
        file.rename(file.with_suffix(".h5"))
    with pytest.raises(InputError, match=r"CollectedData_me\.h5: HDF5 is not read; write the CSV"):
        open_data(project)


def test_a_pattern_in_a_data_yaml(project):
    (project / "data.yaml").write_text("labels: labeled-data/*/CollectedData_*.csv\n")
    source = open_data(project)
    assert source.skeleton.names == ("nose", "tail")
    assert [len(source.split(split)) for split in source.splits] == [6, 6]


def test_one_file_of_a_project(project):
    source = open_data(project / "labeled-data" / "a" / "CollectedData_me.csv")
    assert source.skeleton.edges == ((1, 0),)
    assert [len(source.split(split)) for split in source.splits] == [5, 1]


def test_labels_of_several_people(project):
    folder = project / "labeled-data" / "a"
    (folder / "CollectedData_you.csv").write_text((folder / "CollectedData_me.csv").read_text())
    assert len(open_data(project).split("train")) == 6
    (project / "config.yaml").write_text(CONFIG.replace("scorer: me", "scorer: they"))
    with pytest.raises(InputError, match=r"several people, .*_me\.csv and .*_you\.csv; name those"):
        open_data(project)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CONFIG, r"b/CollectedData_me\.csv: point='ear': is none of"),
        (None, r"b/CollectedData_me\.csv: its points are not those of .*a/CollectedData_me\.csv"),
        ("bodyparts: [a", r"config\.yaml: line 1: cannot be read as YAML"),
    ],
)
def test_names_that_differ(project, config, message):
    file = project / "labeled-data" / "b" / "CollectedData_me.csv"
    file.write_text(file.read_text().replace("tail", "ear"))
    if config is None:
        (project / "config.yaml").unlink()
    else:
        (project / "config.yaml").write_text(config)
    with pytest.raises(InputError, match=message) as told:
        open_data(project)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CollectedData_me_csv", table(PICTURES)),
        ("CollectedData_me_csv", table(PICTURES, first="labeled-data,a,{}", index=3)),
        ("CollectedData_me_csv", table(PICTURES, first=r"labeled-data\a\{}").replace(",", ";")),
        ("CollectedData_me_csv", b"\xef\xbb\xbf" + table(PICTURES).replace("\n", "\r\n").encode()),
        ("CollectedData_me_csv", table(PICTURES) + ",,,,\n,,,,\n\n"),
        ("小鼠_csv", table([name.upper() for name in PICTURES], first="C:\\数据\\{}")),
        ("points_csv", "file,name,x,y\n" + "".join(
            f"{name},nose,3,8\n{name},tail,13,18\n" for name in PICTURES
        )),
        ("ann_json", coco(PICTURES)),
        ("annotations__ann_json", coco(PICTURES)),
    ],
)  # fmt: skip
def test_one_file_of_labels(beside, name, text):
    folder = beside(**{name: text}, notes_csv=b"\xff\xfe\x00")
    file = next(f for f in folder.rglob("*.[cj]s*") if f.name != "notes.csv")
    for spec in (folder, file):
        source = open_data(spec)
        assert source.skeleton.names == ("nose", "tail")
        assert [len(source.split(split)) for split in source.splits] == [5, 1]
        sample = source.split("val")[0]
        np.testing.assert_array_equal(sample.points, [(3.5, 8.5), (13.5, 18.5)])


def test_labelme_files(beside):
    folder = beside(**{name.replace(".png", "_json"): labelme(name) for name in PICTURES})
    source = open_data(folder)
    assert (source.name, source.skeleton.names) == (folder.name, ("nose", "tail"))
    assert [len(source.split(split)) for split in source.splits] == [5, 1]
    assert source.split("train")[0].points.tolist() == [[3.5, 8.5], [13.5, 18.5]]
    assert open_data(folder.parent / folder.name).splits == ("train", "val")


@pytest.mark.parametrize(("x", "boxed"), [(10, True), (0, False)])
def test_several_animals_are_several_figures(beside, x, boxed):
    points = ("nose", "tail") if x else ("nose",)
    text = table(PICTURES, points, individuals=("one", "two"))
    source = open_data(beside(me_csv=text))
    train = source.split("train")
    assert (len(train), train.boxed) == (10, boxed)
    if boxed:
        assert [train[i].box.tolist() for i in range(2)] == [
            [3.5, 8.5, 10, 10],
            [23.5, 28.5, 10, 10],
        ]
        assert source.contents.endswith("boxes around the points, since figures share pictures")
    else:
        assert "several figures share a picture, and none has a box" in source.contents


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds neither data.yaml nor classes.csv, nor labels of points beside pictures"),
        ({"a_csv": table(PICTURES), "b_csv": table(PICTURES)}, "may be described by"),
        ({"a_csv": table(PICTURES), "b_json": coco(PICTURES)}, "a.csv, "),
        ({"b_json": coco(PICTURES), "c_json": labelme("img0.png")}, "b.json, "),
        ({"b_json": coco(PICTURES)[:90]}, "b.json, line 1: not whole JSON"),
        ({"b_json": ""}, "b.json: is empty"),
        ({"b_json": "[]"}, "holds neither data.yaml"),
        ({"a_csv": b"\xff\xfe\x00"}, "a.csv: "),
        ({"a_csv": table(["zz.png"])}, "a.csv: picture zz.png is not there; put it into"),
    ],
)
def test_folders_that_are_no_data_set(beside, files, message):
    with pytest.raises(InputError) as told:
        open_data(beside(**files))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a_json", "[]", "a.json: is a list; give the labels"),
        ("a_json", "{}", "a.json: has neither 'annotations' nor 'shapes'"),
        ("a_json", coco(PICTURES)[:-9], "a.json, line 1: not whole JSON"),
        ("a_csv", "", "a.csv: is empty; give a file with labelled points"),
        ("a_csv", "file,name,x\n", "a.csv: has no column 'y'; give file,name,x,y"),
        ("a_csv", "näse".encode("latin-1"), "a.csv: not text in UTF-8 (byte 1); save it as UTF-8"),
        ("a_csv", table([]), "a.csv: no picture has labelled points; label some"),
    ],
)
def test_files_that_are_no_labels(beside, name, text, message):
    folder = beside(**{name: text})
    with pytest.raises(InputError) as told:
        open_data(folder / name.replace("_", "."))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "text", ["labels: me.csv\n", "names: [a, b]\ntrain: .\nval: .\nmasks_dir: .\n"]
)
def test_a_data_yaml_is_parsed_once(beside, monkeypatch, text):
    folder = beside(me_csv=table(PICTURES))
    (folder / "data.yaml").write_text(text)
    read, parse = [], yaml_files.yaml.load
    monkeypatch.setattr(
        yaml_files.yaml, "load", lambda *args, **more: read.append(1) or parse(*args, **more)
    )
    try:
        open_data(folder)
    finally:
        assert len(read) == 1


def test_training_says_how_pictures_were_shared_out(project, tmp_path, capsys):
    words = ["train", "--data", str(project), "--model", "fcn", "--backbone", "test_resnet"]
    words += ["--steps", "1", "--batch-size", "2", "--workers", "0", "--runs", str(tmp_path / "r")]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "split by folder, 2 of them: val" in told.out + told.err
