"""Ways in which a set may differ from others and still be whole; none may be accused."""

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


def of_16_bits(folder):
    """Masks of 16 bits."""
    for file in files(folder, "masks"):
        save(file, load(file).astype(np.uint16))


def bordered(folder):
    """A line of 255 around things, as in VOC."""

    def border(mask):
        edge = np.zeros(mask.shape, bool)
        edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
        edge[1:] |= mask[1:] != mask[:-1]
        return np.where(edge, 255, mask).astype(np.uint8)

    for_masks(folder, border)


def nested(folder):
    """In subfolders with a space and in Chinese."""
    for file in [*files(folder, "images"), *files(folder, "masks")]:
        target = file.parent / "城市 a" / file.name
        target.parent.mkdir(exist_ok=True)
        file.rename(target)


def linked(folder):
    for file in [*files(folder, "images"), *files(folder, "masks")]:
        target = folder / "all" / "_".join(file.parts[-3:])
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
        file.symlink_to(target)


def shouting(folder):
    """Suffixes in capitals, and what systems leave behind."""
    for file in [*files(folder, "images"), *files(folder, "masks")]:
        file.rename(file.with_suffix(file.suffix.upper()))
    (folder / "train/images/.DS_Store").write_bytes(b"")
    (folder / "__MACOSX").mkdir()


def turned_by_camera(folder):
    """EXIF turns the pictures, and masks are drawn on what is shown."""
    for file in files(folder, "images"):
        image = Image.open(file)
        data = Image.Exif()
        data[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(
            file.with_suffix(".jpg"), quality=95, exif=data
        )
        file.unlink()


def noisy(folder):
    rng = np.random.default_rng(0)
    for_pictures(folder, lambda p: np.clip(p + rng.normal(0, 12, p.shape), 0, 255).astype(np.uint8))


def off_by_one(folder):
    """As people draw."""
    for_masks(folder, lambda m: np.roll(m, 1, 1))


def ignored_in_part(folder):
    def part(mask):
        mask[:, :30] = 255
        return mask

    for_masks(folder, part)


HEALTHY = {
    change.__name__: change
    for change in (
        resized, cropped, grey, deep, palette, rare, night, mirrored, jpeg, few, of_16_bits,
        bordered, nested, linked, shouting, turned_by_camera, noisy, off_by_one, ignored_in_part,
    )
}  # fmt: skip
