"""Small data sets of drawn scenes, whole ones and broken ones."""

import functools
import shutil
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from pixelwise.data.landscape import draw
from pixelwise.data.scenes import CLASSES

SIZE = 112
COUNTS = {"train": 8, "val": 4}
NAMES = list(CLASSES.names)


@functools.lru_cache(maxsize=64)
def scene(split, i, size=SIZE):
    return draw(7, split, i, size)


def describe(folder, **changes):
    content = {"train": "train/images", "val": "val/images", "names": NAMES, **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    (folder / "data.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))


def whole(folder, **changes):
    """A healthy set: train and val with images and masks as PNG."""
    for number, (split, count) in enumerate(COUNTS.items()):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(count):
            picture, mask = scene(number, i)
            Image.fromarray(picture).save(folder / split / "images" / f"p{i}.png")
            Image.fromarray(mask.astype(np.uint8)).save(folder / split / "masks" / f"p{i}.png")
    describe(folder, **changes)
    return folder


def binary(folder, low=0, high=1, **changes):
    """Buildings or not."""
    whole(folder, names=["other", "building"], **changes)
    for_masks(folder, lambda m: np.where(m == 1, high, low).astype(np.uint8))
    return folder


def files(folder, kind, split="*"):
    return sorted(folder.glob(f"{split}/{kind}/*"))


def load(file):
    return np.array(Image.open(file))


def save(file, values, **options):
    Image.fromarray(values).save(file, **options)


def for_masks(folder, change, split="*", only=None):
    for file in files(folder, "masks", split)[:only]:
        save(file, np.ascontiguousarray(change(load(file))))


def for_pictures(folder, change, split="*", only=None):
    for file in files(folder, "images", split)[:only]:
        save(file, np.ascontiguousarray(change(load(file))))


def rename(folder, kind, name, split="*", only=None):
    for file in files(folder, kind, split)[:only]:
        file.rename(file.with_name(name(file)))


def move_to(folder, target):
    folder.rename(target)


def copy(source, target):
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
