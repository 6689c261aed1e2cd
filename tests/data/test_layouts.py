"""Which masks belong to which pictures, and what of a data.yaml is told before anything is read."""

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.config import DataConfig
from pixelwise.data.folder import find_pairs
from pixelwise.data.listing import is_hidden
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

NAMES = "names: {0: ground, 1: roof}\n"


def save(file, values=0, size=(6, 8)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, values, np.uint8)).save(file)


def pairs(folder, yaml, split="train"):
    (folder / "data.yaml").write_text(yaml)
    found = find_pairs(DataConfig.load(folder / "data.yaml"), split)
    return [tuple(str(file.relative_to(folder)) for file in pair) for pair in found]


def test_masks_with_a_pattern(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "train/images/in" / f"{name}.jpg")
        save(tmp_path / "train/masks/in" / f"{name}_mask.tif")
    save(tmp_path / "train/masks/in/a.png")
    yaml = "train: train/images\nmasks: '*_mask'\n" + NAMES
    assert pairs(tmp_path, yaml) == [
        (f"train/images/in/{name}.jpg", f"train/masks/in/{name}_mask.tif") for name in "ab"
    ]


def test_masks_in_the_pictures_own_folder(tmp_path):
    save(tmp_path / "train/x.png")
    save(tmp_path / "train/x_mask.png")
    yaml = "train: train\nmasks_dir: train\nmasks: '*_mask.png'\n" + NAMES
    assert pairs(tmp_path, yaml) == [("train/x.png", "train/x_mask.png")]
    (tmp_path / "train/x_mask.png").unlink()
    with pytest.raises(InputError, match=r"x\.png has no mask; it should be .*train/x_mask\.png"):
        pairs(tmp_path, yaml)


def cityscapes(folder):
    for split in ("train", "val"):
        for city in ("aachen", "bochum"):
            stem = f"{city}_000000_000019"
            save(folder / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", 100)
            for kind, value in (("labelIds", 26), ("instanceIds", 3), ("color", 9)):
                save(folder / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png", value)


@pytest.mark.parametrize(
    "yaml",
    [
        "layout: cityscapes\n",
        "train: leftImg8bit/train\nmasks_dir: {leftImg8bit: gtFine}\n"
        'masks: {"*_leftImg8bit.png": "*_gtFine_labelIds.png"}\n' + NAMES,
    ],
)
def test_cityscapes(tmp_path, yaml):
    cityscapes(tmp_path)
    stem = "aachen/aachen_000000_000019"
    assert pairs(tmp_path, yaml)[0] == (
        f"leftImg8bit/train/{stem}_leftImg8bit.png",
        f"gtFine/train/{stem}_gtFine_labelIds.png",
    )


def test_a_layout_brings_classes_and_what_the_file_says_counts(tmp_path):
    cityscapes(tmp_path)
    (tmp_path / "data.yaml").write_text("layout: cityscapes\n")
    source = open_data(tmp_path)
    assert source.splits == ("train", "val")
    assert (len(source.classes), source.classes.names[13]) == (19, "car")
    assert (source.split("val")[0].mask == 13).all()
    (tmp_path / "data.yaml").write_text("layout: cityscapes\ntrain: leftImg8bit/val\n")
    assert open_data(tmp_path).splits == ("train",)
    (tmp_path / "data.yaml").write_text("layout: cityscape\n")
    with pytest.raises(InputError, match="layout='cityscape': unknown layout; did you mean 'city"):
        open_data(tmp_path)


@pytest.mark.parametrize(
    "place",
    [
        ".ipynb_checkpoints/a-checkpoint.png", "@eaDir/a.png", "__MACOSX/a.png", "in/._a.png",
        ".DS_Store", "in/.thumbnails/a.png", "Thumbs/a.png",
    ],
)  # fmt: skip
def test_what_systems_keep_for_themselves_is_passed_over(tmp_path, place):
    assert is_hidden((tmp_path / place).relative_to(tmp_path))
    if place.endswith(".png"):
        save(tmp_path / "train/images/a.png")
        save(tmp_path / "train/masks/a.png")
        save(tmp_path / "train/images" / place)
        assert pairs(tmp_path, "train: train/images\n" + NAMES) == [
            ("train/images/a.png", "train/masks/a.png")
        ]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: {0: no, 1: yes}\n", 'names: class 0 is False, .* in quotes, e.g. 0: "no"'),
        ("names: [on, off]\n", 'class 0 is True, .*e.g. 0: "yes"'),
        ("names: {no: a, yes: b}\n", "must number the classes from 0 to 1"),
        ("names: [a, null]\n", "class 1 is None; must be text"),
        ("names: [a, '']\n", "class 1 is empty"),
        ("names: [a, [b]]\n", r"class 1 is \['b'\]; must be text"),
        (NAMES + "map: {0: 0, 1: 1, 0: 1}\n", "line 3: '0' stands in line 3 already"),
        (NAMES + NAMES, "line 3: 'names' stands in line 2 already"),
        (NAMES + "path:\n", "path=None: must be text; write a folder, or leave it out"),
        (NAMES + "masks: x_mask.png\n", r"masks='x_mask.png': must be a file name with one star"),
        (NAMES + "masks: '*/*.png'\n", "must be a file name with one star"),
        (NAMES + "masks: {'*.jpg': 3}\n", "must be a file name with one star"),
        (NAMES + "masks_dir: {images: 3}\n", "masks_dir=.*must be text"),
        (NAMES + "masks_dir: 3\n", "masks_dir=3: must be text"),
        (NAMES + "nodata: none\n", "nodata='none': must be a number"),
        (NAMES + "nodata: [true]\n", "must be a number, or a list of some"),
        (NAMES + "max_megapixels: 0\n", "max_megapixels=0: must be a number above 0"),
        (NAMES + "scale: 1" + "0" * 400 + "\n", "must be a number above 0"),
    ],
)
def test_what_is_not_meant_is_told_in_one_line(tmp_path, yaml, message):
    (tmp_path / "data.yaml").write_text("train: train/images\n" + yaml)
    with pytest.raises(InputError, match=message) as caught:
        DataConfig.load(tmp_path / "data.yaml")
    assert str(tmp_path / "data.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_short_row_of_a_class_table(tmp_path):
    (tmp_path / "classes.csv").write_text("id,name,r,g,b\n0,ground,1,1,1\n1,roof\n")
    with pytest.raises(InputError, match="line 3: has 2 of 5 columns; write id,name,r,g,b"):
        open_data(tmp_path)


def test_beyond_255_classes_the_ignored_value_has_16_bits(tmp_path):
    save(tmp_path / "train/images/a.png")
    (tmp_path / "train/masks").mkdir()
    ids = np.array([[0, 255, 256, 299, 65535]], np.uint16)
    Image.fromarray(ids).save(tmp_path / "train/masks/a.png")
    save(tmp_path / "train/images/a.png", size=(1, 5))
    names = ", ".join(f"c{i}" for i in range(300))
    (tmp_path / "data.yaml").write_text(f"train: train/images\nnames: [{names}]\n")
    source = open_data(tmp_path)
    assert source.classes.ignore_index == 65535
    assert source.split("train")[0].mask.tolist() == ids.tolist()
