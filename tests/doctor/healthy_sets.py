"""Ten ways in which a set may differ from others and still be whole; none may be accused."""

import numpy as np
import tifffile
from PIL import Image
from whole_sets import files, for_masks, for_pictures, load, save


def resized(folder):
    for file in files(folder, "images"):
        image = Image.open(file)
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(file)
    for file in files(folder, "masks"):
        image = Image.open(file)
        size = (image.width * 3 // 4, image.height * 3 // 4)
        image.resize(size, Image.Resampling.NEAREST).save(file)


def cropped(folder):
    """Each to a size of its own."""
    rng = np.random.default_rng(0)
    for picture, mask in zip(files(folder, "images"), files(folder, "masks"), strict=True):
        values, ids = load(picture), load(mask)
        top, left, less = rng.integers(0, 20, 3)
        part = (slice(top, len(ids) - less), slice(left, ids.shape[1] - 2 * less))
        save(picture, np.ascontiguousarray(values[part]))
        save(mask, np.ascontiguousarray(ids[part]))


def grey(folder):
    for file in files(folder, "images"):
        Image.open(file).convert("L").save(file)


def deep(folder):
    for file in files(folder, "images"):
        values = load(file).astype(np.uint16) * 257
        file.unlink()
        tifffile.imwrite(file.with_suffix(".tif"), values, photometric="rgb")


def palette(folder):
    table = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    for file in files(folder, "masks"):
        image = Image.fromarray(load(file))
        image.putpalette(table.tobytes())
        image.save(file)


def rare(folder):
    """Class 2 is left in one picture of train only."""
    for i, file in enumerate(files(folder, "masks")):
        if i != 1:
            values = load(file)
            values[values == 2] = 0
            save(file, values)


def night(folder):
    for_pictures(folder, lambda p: (p.astype(float) ** 1.5 / 255**0.5 / 8).astype(np.uint8))


def mirrored(folder):
    """Pictures and masks alike."""
    for_pictures(folder, lambda p: p[:, ::-1])
    for_masks(folder, lambda m: m[:, ::-1])


def jpeg(folder):
    for file in files(folder, "images"):
        image = Image.open(file)
        image.load()
        file.unlink()
        image.save(file.with_suffix(".jpg"), quality=70)


def few(folder):
    for kind in ("images", "masks"):
        for split, count in (("train", 3), ("val", 1)):
            for file in files(folder, kind, split)[count:]:
                file.unlink()


HEALTHY = {
    change.__name__: change
    for change in (resized, cropped, grey, deep, palette, rare, night, mirrored, jpeg, few)
}
