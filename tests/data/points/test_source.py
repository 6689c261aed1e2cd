"""Data sets with points: from a data.yaml to samples."""

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.data.opening import open_data
from pixelwise.data.points import FolderPoints, PointsConfig
from pixelwise.errors import InputError

HEAD = "file,name,x,y\n"
YAML = "labels: labels.csv\ntrain: train\nval: val\n"
PICTURES = ("train/a.png", "train/b.png", "val/c.png")
LABELS = HEAD + "".join(
    f"{file},{name},{x},7\n"
    for file in ("a.png", "b.png", "c.png")
    for name, x in (("nose", 3), ("left", 5), ("right", 9))
)


@pytest.fixture
def write(write_pictures):
    def write_set(yaml=YAML, labels=LABELS, pictures=PICTURES, **files):
        folder = write_pictures(*pictures)
        (folder / "data.yaml").write_text(yaml, encoding="utf-8")
        (folder / "labels.csv").write_text(labels, encoding="utf-8")
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
        return folder / "data.yaml"

    return write_set


def names(figures):
    return [figure.file.name for figure in figures.figures]


def test_a_data_set(write):
    more = (
        "pairs: [[left, right]]\nskeleton: [[nose, left]]\nsigmas: {nose: 1, right: 3, left: 2}\n"
    )
    source = open_data(write(YAML + more))
    assert isinstance(source, FolderPoints)
    skeleton = source.skeleton
    assert skeleton.names == ("nose", "left", "right")
    assert (skeleton.pairs, skeleton.edges, skeleton.sigmas) == (((1, 2),), ((0, 1),), (1, 2, 3))
    assert (source.bands, source.scale, source.splits) == (3, 255.0, ("train", "val"))
    train = source.split("train")
    assert names(train) == ["a.png", "b.png"]
    sample = train[0]
    assert sample.points.tolist() == [[3.5, 7.5], [5.5, 7.5], [9.5, 7.5]]
    assert sample.visible.tolist() == [2, 2, 2]
    assert sample.box.tolist() == [0, 0, 40, 30]
    assert sample.picture.values.shape == (3, 30, 40)
    assert train.size(0) == (30, 40)
    with pytest.raises(InputError, match="split='test': unknown split"):
        source.split("test")


def test_check_tells_what_is_there(write):
    labels = LABELS.replace("b.png,nose,3,7", "b.png,nose,,")
    for name in ("nose", "left", "right"):
        labels += f"d.png,{name},,\n"
    train = open_data(write(labels=labels, pictures=(*PICTURES, "train/d.png"))).split("train")
    done = []
    found = train.check(lambda *at: done.append(at))
    assert done == [(1, 2), (2, 2)]
    assert (found.figures, found.dropped, found.counts) == (2, 1, (1, 2, 2))
    assert found.dtype == "uint8"
    assert found.lines(train.skeleton.names) == [
        "points  2 figures; labels: at most 2, nose 1",
        "points  1 figures without any labelled point left out",
    ]


def test_points_may_be_put_in_another_order(write):
    source = open_data(write(YAML + "points: [right, tail, nose, left]\n"))
    sample = source.split("train")[0]
    assert sample.points[:, 0].nan_to_num(-1).tolist() == [9.5, -1, 3.5, 5.5]
    assert sample.visible.tolist() == [2, 0, 2, 2]


def test_lists_of_names_and_a_file_per_split(write):
    one = HEAD + "c.png,nose,1,1\nc.png,left,1,1\nc.png,right,1,1\n"
    yaml = "labels: {train: labels.csv, val: val.csv}\n"
    source = open_data(write(yaml, LABELS.split("c.png")[0], val_csv=one))
    assert (names(source.split("train")), names(source.split("val"))) == (
        ["a.png", "b.png"],
        ["c.png"],
    )
    yaml = "labels: labels.csv\ntrain: first.txt\nval: second.txt\n"
    source = open_data(write(yaml, first_txt="train/b.png\r\n\n", second_txt="c.png\n"))
    assert (names(source.split("train")), names(source.split("val"))) == (["b.png"], ["c.png"])


@pytest.mark.parametrize("by", ["picture", "folder"])
def test_shares_by_chance(write, by):
    pictures = [f"v{i // 4}/p{i}.png" for i in range(20)]
    labels = HEAD + "".join(f"{file},nose,1,1\n{file},tail,2,2\n" for file in pictures)
    yaml = f"labels: labels.csv\nsplit: {{val: 0.2, test: 0.4, by: {by}, seed: 3}}\n"
    file = write(yaml, labels, pictures)
    source = open_data(file)
    splits = {s: {f.file for f in source.split(s).figures} for s in source.splits}
    assert {s: len(files) for s, files in splits.items()} == {"train": 8, "val": 4, "test": 8}
    assert len(set.union(*splits.values())) == 20
    folders = [{file.parent.name for file in files} for files in splits.values()]
    assert (sum(map(len, folders)) == 5) == (by == "folder")
    again = open_data(file)
    assert all({f.file for f in again.split(s).figures} == splits[s] for s in splits)
    file.write_text(yaml.replace("seed: 3", "seed: 4"))
    other = {f.file for f in open_data(file).split("train").figures}
    assert other != splits["train"]


def test_a_picture_in_two_splits_is_told(write):
    source = open_data(write("labels: labels.csv\ntrain: train\nval: .\n"))
    assert "2 pictures of train are in another split too, as a.png" in source.contents
    assert "in another split" not in open_data(write()).contents


def test_several_files_of_labels(write, tmp_path):
    one, two = (HEAD + f"{name}.png,nose,3,7\n{name}.png,tail,4,7\n" for name in "ab")
    file = write("labels: [labels.csv, two.csv]\nsplit: {val: 0.5}\n", one, two_csv=two)
    source = open_data(file)
    assert [len(source.split(split)) for split in source.splits] == [1, 1]
    file.write_text('labels: "*.csv"\nsplit: {val: 0.5}\n')
    again = open_data(file)
    assert names(again.split("val")) == names(source.split("val"))
    (tmp_path / "two.csv").write_text(one)
    with pytest.raises(InputError, match=r"two\.csv: .*a\.png is labelled in .*labels\.csv too"):
        open_data(file)


def test_a_picture_is_found_in_another_case(write):
    file = write(labels=LABELS.replace("a.png", "TRAIN\\A.PNG"))
    assert names(open_data(file).split("train")) == ["a.png", "b.png"]


def test_a_symlinked_picture(write, tmp_path):
    file = write()
    picture = tmp_path / "train" / "a.png"
    picture.rename(tmp_path / "elsewhere")
    picture.symlink_to(tmp_path / "elsewhere")
    assert open_data(file).split("train")[0].image.shape == (3, 30, 40)
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(InputError, match=r"a\.png: no such file; check the path"):
        open_data(file).split("train").check()


@pytest.mark.parametrize(
    ("kind", "bands", "scale"),
    [("L", 1, 255), ("RGBA", 3, 255), ("P", 3, 255), ("I;16", 1, 65535)],
)
@pytest.mark.parametrize("size", [(40, 30), (1, 1)])
def test_kinds_of_pictures(write, tmp_path, kind, bands, scale, size):
    file = write(labels=HEAD + "a.png,nose,0,0\nb.png,nose,0,0\nc.png,nose,0,0\n")
    for name in PICTURES:
        picture = Image.new("RGB", size, (9, 90, 200))
        sixteen = Image.fromarray(np.full(size[::-1], 900, np.uint16))
        (sixteen if kind == "I;16" else picture.convert(kind)).save(tmp_path / name)
    source = open_data(file)
    sample = source.split("train")[0]
    assert (source.bands, source.scale) == (bands, scale)
    assert sample.image.shape == (bands, *size[::-1])
    assert sample.points.tolist() == [[0.5, 0.5]]
    assert source.split("val").check().counts == (1,)


def test_a_picture_that_exif_turns(write, tmp_path):
    labels = LABELS.replace("a.png", "t.jpg").replace("t.jpg,nose,3,7", "t.jpg,nose,3,35")
    file = write(labels=labels)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "train" / "t.jpg", exif=exif)
    train = open_data(file).split("train")
    assert train[0].points[0].tolist() == [3.5, 35.5]
    assert train[0].image.shape == (3, 40, 30)
    (tmp_path / "labels.csv").write_text(labels.replace("t.jpg,nose,3,35", "t.jpg,nose,35,3"))
    train = open_data(file).split("train")
    assert train[0].visible.tolist() == [0, 2, 2]
    found = train.check()
    assert (found.outside, found.counts) == (1, (1, 2, 2))
    told = next(line for line in found.lines(train.skeleton.names) if "outside" in line)
    assert "'nose' at (35.5, 3.5) of" in told
    assert "t.jpg of 30 x 40 pixels" in told


def test_the_right_one_of_pictures_of_the_same_name(write):
    pictures = ("train/u/a.png", "train/v/a.png", "val/c.png")
    labels = HEAD + "v\\a.png,nose,1,1\nv\\a.png,tail,1,1\nc.png,nose,1,1\n"
    figures = open_data(write(labels=labels, pictures=pictures)).split("train").figures
    assert figures[0].file.parent.name == "v"
    with pytest.raises(InputError, match=r"a\.png may be .* or .*; write more of its path"):
        open_data(write(labels=labels.replace("v\\a", "a"), pictures=pictures))
    yaml = "labels: labels.csv\ntrain: train.txt\nval: val\n"
    with pytest.raises(InputError, match=r"train\.txt, line 1: a\.png may be .* or .*; write more"):
        open_data(write(yaml, labels, pictures, train_txt="a.png\n"))


@pytest.mark.parametrize(
    ("yaml", "labels", "message"),
    [
        (YAML + "pairs: [[left, rihgt]]\n", LABELS, "pairs: 'rihgt' names no point; did you mean"),
        (YAML + "pairs: [[left]]\n", LABELS, "must list pairs of names"),
        (YAML + "pairs: [[left, left]]\n", LABELS, "pairs: joins 'left' with itself"),
        (YAML + "pairs: [[left, right], [right, left]]\n", LABELS, "'left' stands in two pairs"),
        (YAML + "sigmas: [.nan, 1, 1]\n", LABELS, "must be above 0; correct them"),
        (YAML + "category: mouse\n", LABELS, "category='mouse': is for COCO files; remove it"),
        (YAML + "category: [a]\n", LABELS, "category=['a']: must be a name or an id"),
        (YAML, LABELS.replace("a.png", "z.png").replace("b.png", "y.png"), "(and 1 more of 3)"),
        (YAML, LABELS + "train/a.png,nose,1,1\n", "a.png and train/a.png are the same picture"),
        ("labels: [labels.csv, labels.csv]\n", LABELS, "labels.csv stands twice; name it once"),
        ("labels: l*l.csv\n", LABELS, "labels='l*l.csv': no file below"),
        ("labels: [3]\n", LABELS, "labels=[3]: must be a file, or a list or a pattern"),
        ("labels: []\n", LABELS, "labels=[]: must be a file, or a list or a pattern"),
        ("labels: labels.csv\n", HEAD + "a.png,nose,,\n", "no picture has labelled points"),
        (YAML + "skeleton: [[nose, tial]]\n", LABELS, "skeleton: 'tial' names no point"),
        (YAML + "sigmas: [0.1, 0.2]\n", LABELS, "must be one number per point, 3 of them"),
        (YAML + "sigmas: {nose: 0.1}\n", LABELS, "sigmas: has none of 'left'; give one per point"),
        (YAML + "sigmas: [a, b, c]\n", LABELS, "must be a number per point"),
        (YAML + "points: [nose, left]\n", LABELS, "point='right': is none of `points:`"),
        (YAML + "points: nose\n", LABELS, "points='nose': must list names"),
        (YAML + "pionts: [nose]\n", LABELS, "key='pionts': unknown key; did you mean 'points'"),
        (YAML.replace("val: val", "val: vla"), LABELS, "val: its pictures should be in"),
        (YAML, LABELS.replace("a.png", "z.png"), "picture z.png is not there; put it into"),
        (YAML, LABELS.replace("c.png", "b.png"), "no picture of 'val' has labelled points"),
        (YAML, "", "labels.csv: is empty"),
        (
            YAML.replace("val: val", f"val: {'v' * 300}"),
            LABELS,
            "cannot be read (File name too long)",
        ),
        (YAML.replace("labels.csv", "no.csv"), LABELS, "no.csv: no such file"),
        (YAML + "split: {val: 0.3}\n", LABELS, "the splits are told already; remove `split:`"),
        ("labels: labels.csv\nsplit: {val: 2}\n", LABELS, "val=2: must be from 0 to 1"),
        ("labels: labels.csv\nsplit: {val: 0.5, test: 0.5}\n", LABELS, "leave nothing to train"),
        (
            "labels: labels.csv\nsplit: {val: 0.3, test: 0.3, by: folder}\n",
            LABELS,
            "split: leaves no folder for 'train' of 2 in the labels; label more, write `by",
        ),
        ("labels: labels.csv\nsplit: {by: day}\n", LABELS, "by='day': must be one of"),
        ("labels: labels.csv\nsplit: {vla: 1}\n", LABELS, "unknown key of split; did you mean"),
        ("points: [nose]\ntrain: train\n", LABELS, "labels=None: must be a file"),
        ("labels: {train: labels.csv}\nval: val\n", LABELS, "labels: has no file for 'val'"),
        ("labels: {tarin: labels.csv}\n", LABELS, "split='tarin': unknown split"),
    ],
)
def test_wrong_data_sets_are_told_in_one_line(write, yaml, labels, message):
    with pytest.raises(InputError) as told:
        FolderPoints(PointsConfig.load(write(yaml, labels)))
    assert message in str(told.value)
    assert ".yaml" in str(told.value) or ".csv" in str(told.value)
    assert "\n" not in str(told.value)


def test_two_files_with_other_names(write):
    yaml = "labels: {train: labels.csv, val: val.csv}\n"
    file = write(yaml, val_csv=HEAD + "c.png,snout,1,1\n")
    with pytest.raises(InputError, match=r"val\.csv: its points are not those of .*labels\.csv"):
        PointsConfig.load(file)


def test_a_point_outside_and_other_types_of_values(write, tmp_path):
    train = open_data(write(labels=LABELS.replace("b.png,nose,3", "b.png,nose,41"))).split("train")
    assert train[1].visible.tolist() == [0, 2, 2]
    assert torch.isnan(train[1].points[0]).all()
    assert train[1].outside == ("'nose' at (41.5, 7.5)",)
    assert train.check().outside == 1
    labels = LABELS.replace("nose,3", "nose,41").replace("left,5", "left,-9")
    with pytest.raises(InputError, match=r"4 of 6 points lie outside .*a\.png of 40 x 30"):
        open_data(write(labels=labels)).split("train").check()
    file = write()
    Image.fromarray(np.zeros((30, 40), np.uint16)).save(tmp_path / "train" / "b.png")
    with pytest.raises(InputError, match="holds uint16, but other pictures of"):
        open_data(file).split("train").check()


def test_pixels_without_data(write):
    source = open_data(write(YAML + "nodata: 0\nbands: [1]\nscale: 100\n"))
    sample = source.split("train")[0]
    assert (source.bands, source.scale, source.nodata, source.band_numbers) == (1, 100, (0,), (1,))
    assert sample.missing is not None
    assert torch.equal(sample.missing, sample.image[0] == 0)
