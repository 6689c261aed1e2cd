"""Trees of the shape of published data sets: what `pixelwise data import` finds and writes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.data.opening import open_data
from pixelwise.data.published.finding import PUBLISHED

SIZE = (4, 5)  # rows, columns
IGNORED = 255


def picture(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(file)


def mask(file, values, palette=None):
    """A mask whose first pixels have these values or colours, and all others the first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.array(values, np.uint8)
    pixels = np.broadcast_to(values[0], (*SIZE, *values.shape[1:])).copy()
    pixels[0, : len(values)] = values
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette(palette)
    image.save(file)


def lists(folder, **names):
    folder.mkdir(parents=True, exist_ok=True)
    for split, content in names.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in content))


def voc(root, masks="SegmentationClass", **more):
    for name in ("2007_000001", "2007_000002", "2011_000003"):
        picture(root / "JPEGImages" / f"{name}.jpg")
        mask(root / masks / f"{name}.png", [0, 15, 255], [i % 256 for i in range(768)])
    picture(root / "JPEGImages/2012_unlabelled.jpg")
    lists(
        root / "ImageSets/Segmentation",
        train=["2007_000001", "2007_000002"],
        val=["2011_000003"],
        **more,
    )


def voc_aug(root):
    voc(root, "SegmentationClassAug")
    lists(root / "ImageSets/Segmentation", trainaug=["2007_000001"])


def cityscapes(root):
    for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        stem = f"{city}_000000_000019"
        picture(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png")
        for kind in ("labelIds", "instanceIds", "color"):
            mask(root / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png", [7, 26, 1])


def ade20k(root):
    for part in ("training", "validation"):
        picture(root / "images" / part / "ADE_00000001.jpg")
        mask(root / "annotations" / part / "ADE_00000001.png", [1, 150, 0])


def coco_stuff(root):
    for split in ("train", "val"):
        picture(root / f"images/{split}2017/000000000009.jpg")
        mask(root / f"annotations/{split}2017/000000000009.png", [0, 181, 255])


def coco_stuff_bare(root):
    for split in ("train", "val"):
        picture(root / f"{split}2017/000000000009.jpg")
        mask(root / f"stuffthingmaps/{split}2017/000000000009.png", [0, 181, 255])


def camvid(root):
    for split in ("train", "val", "test"):
        picture(root / split / "0001TP_006690.png")
        mask(root / f"{split}annot" / "0001TP_006690.png", [0, 10, 11])


CAMVID = "name,r,g,b\nAnimal, 64,128,64\nWall,64, 192, 0\nVoid,0,0,0\n"
CAMVID_COLOURS = [(64, 128, 64), (64, 192, 0), (0, 0, 0)]


def camvid_table(root):
    for split in ("train", "val", "test"):
        picture(root / split / "0001TP_006690.png")
        mask(root / f"{split}_labels" / "0001TP_006690_L.png", CAMVID_COLOURS)
    (root / "class_dict.csv").write_text(CAMVID)


def camvid_original(root):
    for name in ("0001TP_006690", "0006R0_f00930", "Seq05VD_f00000", "Seq05VD_f00030"):
        picture(root / "701_StillsRaw_full" / f"{name}.png")
        mask(root / "LabeledApproved_full" / f"{name}_L.png", CAMVID_COLOURS)
    (root / "label_colors.txt").write_text("64 128 64\tAnimal\n64 192 0\t\tWall\n0 0 0\tVoid\n")


def context(root):
    for name in ("2008_000002", "2008_000003"):
        picture(root / "JPEGImages" / f"{name}.jpg")
        mask(root / "SegmentationClassContext" / f"{name}.png", [1, 59, 0])
    lists(root / "ImageSets/SegmentationContext", train=["2008_000002"], val=["2008_000003"])


def loveda(root):
    for split, number in (("Train", 0), ("Val", 2522)):
        for i, area in enumerate(("Rural", "Urban")):
            picture(root / split / area / "images_png" / f"{number + i}.png")
            mask(root / split / area / "masks_png" / f"{number + i}.png", [1, 7, 0])
    picture(root / "Test/Rural/images_png/4191.png")


def inria(root):
    for name in ("austin1", "austin6", "austin15", "tyrol-w5", "tyrol-w36"):
        picture(root / "train/images" / f"{name}.tif")
        mask(root / "train/gt" / f"{name}.tif", [0, 255])
    picture(root / "test/images/bellingham1.tif")


def whu(root):
    for split in ("train", "val", "test"):
        picture(root / split / "image/0.tif")
        mask(root / split / "label/0.tif", [0, 255])


def massachusetts(root, colour=(255, 0, 0)):
    for split in ("train", "val", "test"):
        picture(root / "tiff" / split / "22678915_15.tiff")
        mask(root / f"tiff/{split}_labels" / "22678915_15.tif", [(0, 0, 0), colour])


def massachusetts_grey(root):
    for split in ("train", "valid", "test"):
        picture(root / split / "sat/10078660_15.tiff")
        mask(root / split / "map/10078660_15.tif", [0, 255])


def isic_2016(root):
    for part in ("Training", "Test"):
        for i in range(5):
            picture(root / f"ISBI2016_ISIC_Part1_{part}_Data/ISIC_{i}.jpg")
            name = f"ISBI2016_ISIC_Part1_{part}_GroundTruth/ISIC_{i}_Segmentation.png"
            mask(root / name, [0, 255])


def isic_2017(root):
    for part in ("Training", "Validation", "Test_v2"):
        picture(root / f"ISIC-2017_{part}_Data/ISIC_0000000.jpg")
        picture(root / f"ISIC-2017_{part}_Data/ISIC_0000000_superpixels.png")
        mask(root / f"ISIC-2017_{part}_Part1_GroundTruth/ISIC_0000000_segmentation.png", [0, 255])


def isic_2018(root):
    for part in ("Training", "Validation"):
        picture(root / f"ISIC2018_Task1-2_{part}_Input/ISIC_0000000.jpg")
        (root / f"ISIC2018_Task1-2_{part}_Input/ATTRIBUTION.txt").write_text("x")
        mask(root / f"ISIC2018_Task1_{part}_GroundTruth/ISIC_0000000_segmentation.png", [0, 255])


def crackforest(root):
    for i in range(5):
        picture(root / f"image/{i:03}.jpg")
        mask(root / f"groundTruth/{i:03}.png", [0, 255])


def deepcrack(root):
    for split in ("train", "test"):
        for i in range(5):
            picture(root / f"{split}_img/{i}.jpg")
            mask(root / f"{split}_lab/{i}.png", [0, 255])


def roboflow(root):
    for folder in ("train", "valid"):
        picture(root / folder / "a_jpg.rf.1f.jpg")
        mask(root / folder / "a_jpg.rf.1f_mask.png", [0, 2])
        (root / folder / "_classes.csv").write_text("Pixel Value, Class\n0, background\n2, roof\n")


def cvat(root):
    for i in range(5):
        picture(root / f"JPEGImages/{i}.jpg")
        mask(root / f"SegmentationClass/{i}.png", [(0, 0, 0), (128, 0, 0)])
        mask(root / f"SegmentationObject/{i}.png", [(0, 0, 0), (128, 0, 0)])
    lists(root / "ImageSets/Segmentation", default=[str(i) for i in range(5)])
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroof:128,0,0::\n"
    )


def polygons(root):
    """COCO with a file per split, as after the download."""
    for split in ("train", "val"):
        picture(root / f"{split}2017/1.png")
        content = {
            "images": [{"id": 1, "file_name": "1.png", "height": SIZE[0], "width": SIZE[1]}],
            "categories": [{"id": 7, "name": "roof"}],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 7,
                    "segmentation": [[1, 0, 2, 0, 2, 1, 1, 1]],
                }
            ],
        }
        file = root / f"annotations/instances_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))


# The tree, its layout, pictures per split, classes, and the ids of the first pixels.
TREES = [
    (voc, "voc", {"train": 2, "val": 1}, 21, [0, 15, IGNORED]),
    (voc_aug, "voc-aug", {"train": 1, "val": 1}, 21, [0, 15, IGNORED]),
    (cityscapes, "cityscapes", {"train": 1, "val": 1}, 19, [0, 13, IGNORED]),
    (ade20k, "ade20k", {"train": 1, "val": 1}, 150, [0, 149, IGNORED]),
    (coco_stuff, "coco-stuff", {"train": 1, "val": 1}, 171, [0, 170, IGNORED]),
    (coco_stuff_bare, "coco-stuff", {"train": 1, "val": 1}, 171, [0, 170, IGNORED]),
    (camvid, "camvid", {"train": 1, "val": 1, "test": 1}, 11, [0, 10, IGNORED]),
    (camvid_table, "camvid-colours", {"train": 1, "val": 1, "test": 1}, 2, [0, 1, IGNORED]),
    (camvid_original, "camvid-colours", None, 2, [0, 1, IGNORED]),
    (context, "pascal-context", {"train": 1, "val": 1}, 60, [1, 59, 0]),
    (context, "pascal-context-59", {"train": 1, "val": 1}, 59, [0, 58, IGNORED]),
    (loveda, "loveda", {"train": 2, "val": 2}, 7, [0, 6, IGNORED]),
    (inria, "inria", {"train": 3, "val": 2}, 2, [0, 1, 0]),
    (whu, "whu", {"train": 1, "val": 1, "test": 1}, 2, [0, 1, 0]),
    (massachusetts, "massachusetts-buildings", {"train": 1, "val": 1, "test": 1}, 2, [0, 1, 0]),
    (massachusetts_grey, "massachusetts-roads", {"train": 1, "val": 1, "test": 1}, 2, [0, 1, 0]),
    (isic_2016, "isic-2016", {"train": 4, "val": 1, "test": 5}, 2, [0, 1, 0]),
    (isic_2017, "isic-2017", {"train": 1, "val": 1, "test": 1}, 2, [0, 1, 0]),
    (isic_2018, "isic-2018", {"train": 1, "val": 1}, 2, [0, 1, 0]),
    (crackforest, "crackforest", {"train": 4, "val": 1}, 2, [0, 1, 0]),
    (deepcrack, "crackforest", {"train": 4, "val": 1, "test": 5}, 2, [0, 1, 0]),
    (roboflow, "roboflow", {"train": 1, "val": 1}, 2, [0, 1, 0]),
    (cvat, "cvat", {"train": 4, "val": 1}, 2, [0, 1, 0]),
    (polygons, "polygons", {"train": 1, "val": 1}, 2, [0, 1, 0]),
]
AMBIGUOUS = {"pascal-context", "massachusetts"}


def refused(capsys, *words):
    capsys.readouterr()
    assert main(["data", "import", *map(str, words)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_every_layout_has_a_tree():
    assert {key for _, key, *_ in TREES} == {*PUBLISHED}


@pytest.mark.parametrize(("tree", "key", "counts", "classes", "ids"), TREES)
def test_an_imported_data_set_is_read(tmp_path, tree, key, counts, classes, ids):
    tree(tmp_path / "set")
    assert main(["data", "import", key, str(tmp_path / "set"), "--quiet"]) == 0
    source = open_data(tmp_path / "set")
    found = {split: len(source.split(split)) for split in source.splits}
    assert found == counts or (counts is None and {*found} == {"train", "val"})
    assert (len(source.classes), source.classes.ignore_index) == (classes, IGNORED)
    for split in source.splits:
        sample = source.split(split)[0]
        assert sample.image.shape == (3, *SIZE)
        assert sample.mask[0, :3].tolist() == ids


@pytest.mark.parametrize(("tree", "key"), [(tree, key) for tree, key, *_ in TREES])
def test_a_layout_is_found_or_the_candidates_are_named(tmp_path, capsys, tree, key):
    tree(tmp_path / "deep/within")
    if any(key.startswith(name) for name in AMBIGUOUS):
        told = refused(capsys, tmp_path)
        assert "may be of several layouts; say `pixelwise data import " in told
        assert f"{key} {tmp_path / 'deep/within'}`" in told
        return
    assert main(["data", "import", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert f"found   {key}: " in told.out + told.err
    assert "path: deep/within\n" in (tmp_path / "data.yaml").read_text()
    assert len(open_data(tmp_path).split("train")) > 0


@pytest.mark.parametrize(("tree", "key"), [(tree, key) for tree, key, *_ in TREES])
def test_a_tree_that_is_not_whole(tmp_path, capsys, tree, key):
    """Without any one of its folders or lists: one line, or a data set without that split."""
    tree(tmp_path / "whole")
    folders = [path for path in (tmp_path / "whole").rglob("*") if path.is_dir()]
    for i, folder in enumerate(folders):
        broken = tmp_path / str(i)
        shutil.copytree(tmp_path / "whole", broken)
        shutil.rmtree(broken / folder.relative_to(tmp_path / "whole"))
        if main(["data", "import", key, str(broken), "--quiet"]):
            told = capsys.readouterr().err.strip()
            assert told.startswith("error: ")
            assert "\n" not in told
            assert not (broken / "data.yaml").exists()
        else:
            assert open_data(broken).splits


def test_the_file_elsewhere_and_once_more(tmp_path, capsys):
    whu(tmp_path / "Daten 数据")
    out = tmp_path / "lists/whu.yaml"
    assert "no such folder; make it" in refused(
        capsys, "whu", tmp_path / "Daten 数据", "--out", out
    )
    out.parent.mkdir()
    words = ["data", "import", "WHU", str(tmp_path / "Daten 数据"), "--out", str(out)]
    assert main(words) == 0
    assert len(open_data(out).split("val")) == 1
    assert "is there already; choose another --out, or add --force" in refused(capsys, *words[2:])
    out.write_text("mine")
    assert main([*words, "--force"]) == 0
    assert "path: ../Daten 数据" in out.read_text()
    assert [file.name for file in out.parent.iterdir()] == ["whu.yaml"]


def test_through_a_link(tmp_path):
    crackforest(tmp_path / "far/away/set")
    (tmp_path / "link").symlink_to(tmp_path / "far/away/set")
    assert main(["data", "import", str(tmp_path / "link"), "--out", str(tmp_path / "d.yaml")]) == 0
    assert len(open_data(tmp_path / "d.yaml").split("train")) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vocc", "."], "layout='vocc': unknown layout; did you mean 'voc'?"),
        (["voc"], "voc: is a layout; give the folder too, pixelwise data import voc DIR"),
        (["nowhere"], "nowhere: no such folder; check the path"),
        (["voc", "nowhere"], "nowhere: no such folder; check the path"),
        (["."], "has none of the layouts that are known (voc, "),
        (["voc", "."], ".: does not look like voc: there is no JPEGImages, no SegmentationClass"),
        ([".", "--out", "x.txt"], "out='x.txt': must be a .yaml file or a folder"),
        ([], "folder"),
        ([""], "folder='': must be a folder"),
    ],
)
def test_what_cannot_be_imported(tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words)


def test_half_a_download(tmp_path, capsys):
    ade20k(tmp_path)
    shutil.rmtree(tmp_path / "annotations/validation")
    told = refused(capsys, "ade20k", tmp_path)
    assert "is not a whole ade20k: there is no annotations/validation; finish the download" in told
    voc(tmp_path / "voc")
    (tmp_path / "voc/JPEGImages/2007_000002.jpg").unlink()
    told = refused(capsys, "voc", tmp_path / "voc")
    assert "train.txt: 1 of 2 names have no file in" in told
    assert "is the download not complete?" in told


def test_matlab_files_are_told(tmp_path, capsys):
    crackforest(tmp_path)
    for file in (tmp_path / "groundTruth").iterdir():
        file.rename(file.with_suffix(".mat"))
    assert "holds MATLAB files, which are not read; save" in refused(
        capsys, "crackforest", tmp_path
    )


def test_the_authors_masks_of_context_need_their_names(tmp_path, capsys):
    context(tmp_path)
    (tmp_path / "SegmentationClassContext").rename(tmp_path / "59_context_labels")
    assert "need 59_labels.txt" in refused(capsys, "pascal-context", tmp_path)
    (tmp_path / "59_labels.txt").write_text("".join(f"{i}: name {i}\n" for i in range(1, 60)))
    assert main(["data", "import", "pascal-context-59", str(tmp_path)]) == 0
    assert open_data(tmp_path).classes.names[58] == "name 59"


def test_tables_that_are_wrong(tmp_path, capsys):
    camvid_table(tmp_path / "camvid")
    (tmp_path / "camvid/class_dict.csv").write_text("name,r,g,b\nAnimal,64,128\n")
    assert "line 2: 'Animal,64,128' is no colour" in refused(capsys, tmp_path / "camvid")
    roboflow(tmp_path / "roboflow")
    table = Path(tmp_path / "roboflow/valid/_classes.csv")
    table.write_text("Pixel Value, Class\n0, background\n1, roof\n")
    assert "has other classes than that of train" in refused(capsys, tmp_path / "roboflow")
    table.write_text("0, background\n0, roof\n")
    assert "line 2: '0, roof': must be a new value" in refused(capsys, tmp_path / "roboflow")
    cvat(tmp_path / "cvat")
    (tmp_path / "cvat/labelmap.txt").write_text("a:0,0,0::\nb:0,0,0::\n")
    assert "'b' or its colour occurs twice" in refused(capsys, "cvat", tmp_path / "cvat")
    shutil.rmtree(tmp_path / "cvat/JPEGImages")
    assert "has no JPEGImages; export once more" in refused(capsys, tmp_path / "cvat")


def test_help_of_data(capsys):
    for words in (["data", "help"], ["data", "--help"]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
        assert "import" in capsys.readouterr().out
    assert main(["data", "export"]) == 2
    assert "verb='export': unknown verb of data" in capsys.readouterr().err
