"""Splits told by lists, patterns, several folders, shares and folds."""

from itertools import pairwise
from pathlib import PurePath

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.opening import open_data
from pixelwise.data.splitting import Shares, share_out
from pixelwise.errors import InputError

NAMES = "names: [ground, roof]\n"


def save(file, value=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(file)


def pool(folder, names, images="images", masks="masks"):
    for name in names:
        save(folder / images / f"{name}.jpg", 90)
        save(folder / masks / f"{name}.png", 1)


def opened(folder, yaml):
    (folder / "data.yaml").write_text(yaml + NAMES)
    source = open_data(folder)
    return {
        split: [picture.stem for picture, _ in source.split(split).pairs] for split in source.splits
    }


def test_lists_of_names_with_a_folder_of_images(tmp_path):
    pool(tmp_path, ["a", "b", "c", "d.e"], "JPEGImages", "SegmentationClass")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text("a\r\nd.e\n\n# a comment\n", encoding="utf-8-sig")
    (tmp_path / "lists/val.txt").write_text("/JPEGImages/b.jpg /SegmentationClass/c.png\n")
    yaml = "images: JPEGImages\nmasks_dir: SegmentationClass\n"
    yaml += "train: lists/train.txt\nval: lists/val.txt\n"
    assert opened(tmp_path, yaml) == {"train": ["a", "d.e"], "val": ["b"]}
    assert open_data(tmp_path).split("val").pairs[0][1].name == "c.png"
    (tmp_path / "lists/val.txt").write_text("b\nx\ny\n")
    with pytest.raises(InputError, match=r"val\.txt: 2 of 3 names have no file in .*: x, y; add"):
        opened(tmp_path, yaml)
    (tmp_path / "lists/val.txt").write_text("\n")
    with pytest.raises(InputError, match=r"val\.txt: lists no picture; write a name per line"):
        opened(tmp_path, yaml)


def test_lists_of_paths_lead_to_the_masks_beside(tmp_path):
    pool(tmp_path, ["in/a", "out/b"])
    (tmp_path / "train.txt").write_text("images/in/a.jpg\nimages\\out\\b\n")
    assert opened(tmp_path, "train: train.txt\n") == {"train": ["a", "b"]}
    (tmp_path / "masks/in/a.png").unlink()
    with pytest.raises(InputError, match=r"a\.jpg has no mask; it should be .*masks/in/a\.png"):
        opened(tmp_path, "train: train.txt\n")


def test_several_folders_and_patterns_of_files(tmp_path):
    pool(tmp_path, ["a1", "a2", "a11"], "one/images", "one/masks")
    pool(tmp_path, ["b1"], "two/images", "two/masks")
    assert opened(tmp_path, "train: [two/images, one/images]\n")["train"][0] == "b1"
    names = [*open_data(tmp_path).split("train").files()]
    assert names == ["b1.jpg", "one/images/a1.jpg", "one/images/a11.jpg", "one/images/a2.jpg"]
    yaml = "train: [one/images, two/images]\nval: 'one/images/*[!0-9]1.jpg'\n"
    assert opened(tmp_path, yaml) == {"train": ["a1", "a11", "a2", "b1"], "val": ["a1"]}
    with pytest.raises(InputError, match=r"'val' has no picture in .*one/images"):
        opened(tmp_path, "train: one/images\nval: 'one/images/x*'\n")


def test_shares_with_a_seed(tmp_path):
    pool(tmp_path, [f"{i}" for i in range(10)])
    found = opened(tmp_path, "train: images\nsplit: {val: 0.2, test: 0.3}\n")
    assert [len(found[split]) for split in ("train", "val", "test")] == [5, 2, 3]
    assert sorted(name for names in found.values() for name in names) == [f"{i}" for i in range(10)]
    assert found == opened(tmp_path, "train: images\nsplit: {val: 0.2, test: 0.3, seed: 0}\n")
    assert found != opened(tmp_path, "train: images\nsplit: {val: 0.2, test: 0.3, seed: 1}\n")
    save(tmp_path / "last/images/z.jpg")
    save(tmp_path / "last/masks/z.png")
    found = opened(tmp_path, "train: images\ntest: last/images\nsplit: {val: 0.2}\n")
    assert ([*found], found["test"], len(found["val"])) == (["train", "val", "test"], ["z"], 2)


@pytest.mark.parametrize("by", ["folder", "'*_*'"])
def test_groups_stay_together(tmp_path, by):
    pool(tmp_path, [f"s{g}/s{g}_{i}" for g in range(5) for i in range(3)])
    found = opened(tmp_path, f"train: images\nsplit: {{val: 0.2, by: {by}}}\n")
    groups = {split: {name[:2] for name in names} for split, names in found.items()}
    assert (len(groups["train"]), len(groups["val"])) == (4, 1)
    assert not groups["train"] & groups["val"]


def test_blocks_of_neighbours():
    pictures = [PurePath(f"video/frame{i}.png") for i in range(100)]
    of = share_out(pictures, Shares(0.2, 0.1, by="block"))
    assert [of.count(split) for split in ("train", "val", "test")] == [70, 20, 10]
    assert sum(a != b for a, b in pairwise(of)) <= 6
    assert of == share_out(pictures[::-1], Shares(0.2, 0.1, by="block"))[::-1]


def test_the_share_that_is_nearest():
    pictures = [PurePath(f"{folder}/{i}.png") for folder in "abcd" for i in range(10)]
    pictures += [PurePath(f"large/{i}.png") for i in range(60)]
    for seed in range(10):
        assert share_out(pictures, Shares(0.2, by="folder", seed=seed)).count("val") == 20


def test_every_picture_is_in_val_of_one_fold():
    pictures = [PurePath(f"g{i % 7}/{i}.png") for i in range(30)]
    for by in ("picture", "folder", "block"):
        vals = []
        for fold in range(5):
            of = share_out(pictures, Shares(0.0, by=by, folds=5, fold=fold))
            vals += [p for p, split in zip(pictures, of, strict=True) if split == "val"]
            assert {*of} == {"train", "val"}
        assert sorted(vals) == sorted(pictures)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("split: 0.2", "split=0.2: must be like {val: 0.2, by: folder}"),
        ("split: {vale: 0.2}", "key='vale': unknown key of split; did you mean 'val'"),
        ("split: {val: 0.7, test: 0.3}", "leave nothing to train"),
        ("split: {val: x}", "val='x': must be a share from 0 to 1"),
        ("split: {val: 1.5}", "val=1.5: must be from 0 to 1"),
        ("split: {by: city}", "by='city': must be picture, folder, block"),
        ("split: {by: 'x*'}", "by='x\\*': .*a.jpg does not fit this pattern"),
        ("split: {by: folder}", "1 groups leave none for 'train'|none for 'val'"),
        ("split: {folds: 5, fold: 5}", "fold=5: must be from 0 to 4"),
        ("split: {folds: 1}", "folds=1: must be from 2 to 1000"),
        ("split: {folds: 5, val: 0.1}", "has val and folds; keep one"),
        ("split: {fold: 1}", "has a fold, but not of how many"),
        ("split: {folds: 5}", "2 pictures leave none for 'val'|'train'"),
        ("split: {seed: 1.5}", "seed=1.5: must be a whole number"),
        ("split: {val: 0.2}\nval: images", "val is told already"),
        ("val: none.txt", "its list should be .*none.txt, which is no file"),
        ("images: nowhere\nval: list.txt", "should be in .*nowhere, which is no folder"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(tmp_path, yaml, message):
    pool(tmp_path, ["a", "b"])
    (tmp_path / "list.txt").write_text("a\n")
    if "folds: 5}" in yaml:
        yaml = yaml.replace("5}", "5, fold: 4}")
    with pytest.raises(InputError, match=message) as caught:
        opened(tmp_path, f"train: images\n{yaml}\n")
    assert str(tmp_path / "data.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_train_there_is_nothing_to_share_out(tmp_path):
    pool(tmp_path, ["a", "b"])
    with pytest.raises(InputError, match="shares out the pictures of train; add `train:"):
        opened(tmp_path, "val: images\nsplit: {test: 0.2, val: 0}\n")


def test_a_mask_per_label_needs_folders(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg")
        save(tmp_path / "masks" / f"{name}_roof.png", 255)
    (tmp_path / "list.txt").write_text("a\n")
    yaml = "overlapping: files\nmasks: '*_{name}.png'\n"
    for more in ("train: images\nsplit: {val: 0.5}\n", "train: list.txt\nimages: images\n"):
        with pytest.raises(InputError, match="overlapping: with a mask per label, each split"):
            opened(tmp_path, yaml + more)
