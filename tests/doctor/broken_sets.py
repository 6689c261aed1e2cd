"""Sets that are broken in one way each: how, what the doctor must call it, and a file it must name.

A maker is called with an empty folder. `mends` says that a data.yaml alone can mend it.
"""

import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from whole_sets import (
    COUNTS,
    NAMES,
    SIZE,
    binary,
    copy,
    describe,
    files,
    for_masks,
    for_pictures,
    load,
    rename,
    save,
    scene,
    whole,
)

from pixelwise.data.classes import parse_colour
from pixelwise.data.layouts import CITYSCAPES
from pixelwise.doctor.palettes import voc

COLOURS = np.array(
    [parse_colour(f"#{i * 37 % 256:02x}{i * 91 % 256:02x}{i * 150 % 256:02x}") for i in range(7)],
    np.uint8,
)


@dataclass(frozen=True)
class Broken:
    """A maker, the key of the finding, the end of a file's name in it, and what mends it.

    `starts` says whether training may start, where that is not what the severity says.
    """

    make: Any
    key: str
    file: str = ""
    mends: bool = False
    severity: str = "stop"
    starts: bool | None = None


def hexadecimal(colour):
    return "#{:02x}{:02x}{:02x}".format(*colour)


def smear(mask, factor=0.6):
    small = Image.fromarray(mask).resize((int(SIZE * factor),) * 2, Image.Resampling.BILINEAR)
    return np.array(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def city(folder):
    """19 classes in label ids."""
    whole(folder, names=[name for name, _ in CITYSCAPES.values()])
    ids = np.array([7, 11, 8, 21, 23, 26, 33], np.uint8)
    for_masks(folder, lambda m: ids[m])


def city_train_ids(folder):
    whole(folder, names=None, train=None, val=None)
    place = {"train": "leftImg8bit/train/a", "val": "leftImg8bit/val/a"}
    for split in COUNTS:
        for i, (p, m) in enumerate(
            zip(files(folder, "images", split), files(folder, "masks", split), strict=True)
        ):
            copy(p, folder / place[split] / f"a_{i}_leftImg8bit.png")
            copy(
                m,
                folder
                / place[split].replace("leftImg8bit", "gtFine")
                / f"a_{i}_gtFine_labelIds.png",
            )
    (folder / "data.yaml").write_text("layout: cityscapes\n")


def palette_png(folder):
    """Indices 10, 20, ... of a palette that has the declared colours."""
    whole(folder, palette=[hexadecimal(c) for c in COLOURS.tolist()])
    table = np.zeros((256, 3), np.uint8)
    table[10:80:10] = COLOURS
    for file in files(folder, "masks"):
        image = Image.fromarray((load(file) * 10 + 10).astype(np.uint8))
        image.putpalette(table.tobytes())
        image.save(file)


def in_colours(folder, table, **changes):
    whole(folder, **changes)
    for_masks(folder, lambda m: table[m])


def voc_border(folder):
    whole(folder, map={i: i for i in range(7)})

    def border(mask):
        edge = np.zeros(mask.shape, bool)
        edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
        edge[1:] |= mask[1:] != mask[:-1]
        edge[:, :-1] |= edge[:, 1:]
        return np.where(edge, 255, mask).astype(np.uint8)

    for_masks(folder, border)


def deep(folder, factor=257, dtype=np.uint16):
    whole(folder)
    for file in files(folder, "masks"):
        tifffile.imwrite(
            file.with_suffix(".tif"), (load(file).astype(np.uint16) * factor).astype(dtype)
        )
        file.unlink()


def one_bit(folder):
    whole(folder, names=["other", "building"], map={0: 0, 255: 1})
    for file in files(folder, "masks"):
        Image.fromarray(load(file) == 1).save(file)


def half_and_half(folder):
    binary(folder)
    for_masks(folder, lambda m: m * 255, split="val")


def mixed_from_1(folder):
    whole(folder, names=["other", "building", "road"])
    for_masks(folder, lambda m: np.minimum(m, 2))
    for_masks(folder, lambda m: m + 1, split="val")


def instances(folder):
    whole(folder)
    rng = np.random.default_rng(0)
    for file in files(folder, "masks"):
        mask = load(file).astype(np.uint16)
        strips = (np.arange(SIZE) // 16)[None] + np.zeros((SIZE, 1), int)
        tifffile.imwrite(
            file.with_suffix(".tif"),
            (mask * 1000 + strips * (mask > 0) + rng.integers(0, 3)).astype(np.uint16),
        )
        file.unlink()


def alpha_mask(folder):
    binary(folder)
    for file in files(folder, "masks"):
        rgba = np.zeros((SIZE, SIZE, 4), np.uint8)
        rgba[..., 3] = load(file) * 255
        save(file, rgba)


def jpeg_masks(folder, suffix=".jpg"):
    whole(folder)
    for file in files(folder, "masks"):
        Image.fromarray(load(file) * 30).save(file.with_suffix(suffix), "JPEG")
        if suffix != ".png":
            file.unlink()


def exif(folder, orientation, turned, suffix=".jpg", only=None, crop=None):
    """Pictures that are shown turned by EXIF, masks as they were before."""
    whole(folder)
    for mask_file, file in list(zip(files(folder, "masks"), files(folder, "images"), strict=True))[
        :only
    ]:
        picture, mask = load(file)[:crop], load(mask_file)[:crop]
        save(mask_file, mask)
        data = Image.Exif()
        data[0x0112] = orientation
        Image.fromarray(picture).save(file.with_suffix(suffix), quality=95, exif=data)
        file.unlink()


def shifted(folder, down, right, split="*", only=None):
    whole(folder)
    for_masks(folder, lambda m: np.roll(m, (down, right), (0, 1)), split, only)


def truncated(folder, kind):
    whole(folder)
    file = files(folder, kind)[1]
    file.write_bytes(file.read_bytes()[:-400])


def written(folder, kind, content):
    whole(folder)
    files(folder, kind)[1].write_bytes(content)


def suffix_wrong(folder):
    whole(folder)
    rename(folder, "images", lambda f: f.stem + ".jpg", only=3)


def saved_as(folder, mode, suffix, kind="images", **options):
    whole(folder)
    for file in files(folder, kind)[:3]:
        Image.open(file).convert(mode).save(file.with_suffix(suffix), **options)
        if suffix != file.suffix:
            file.unlink()


def animated(folder):
    whole(folder)
    file = files(folder, "images")[0]
    frames = [Image.open(f) for f in files(folder, "images")[:3]]
    frames[0].load()
    frames[0].save(file.with_suffix(".webp"), save_all=True, append_images=frames[1:])
    file.unlink()


def transparent(folder):
    whole(folder)
    for file in files(folder, "images")[:3]:
        rgba = np.dstack([load(file), np.full((SIZE, SIZE), 255, np.uint8)])
        rgba[:20, :20, 3] = 0
        save(file, rgba)


def as_floats(folder, hole=None):
    whole(folder)
    for file in files(folder, "images"):
        values = load(file).astype(np.float32)
        if hole is not None:
            values[:9, :9] = hole
        tifffile.imwrite(file.with_suffix(".tif"), values, photometric="rgb")
        file.unlink()


def four_bands(folder):
    whole(folder)
    for file in files(folder, "images")[:2]:
        values = load(file)
        extra = np.dstack([values, values[..., :1]])
        tifffile.imwrite(
            file.with_suffix(".tif"), extra, photometric="minisblack", planarconfig="contig"
        )
        file.unlink()


def two_depths(folder):
    whole(folder)
    for file in files(folder, "images")[:3]:
        tifffile.imwrite(
            file.with_suffix(".tif"), load(file).astype(np.uint16) * 257, photometric="rgb"
        )
        file.unlink()


def dim_val(folder):
    """Train in 16 bits, val in 8 bits saved as 16."""
    whole(folder)
    for file in files(folder, "images"):
        factor = 257 if "train" in file.parts else 1
        tifffile.imwrite(
            file.with_suffix(".tif"), load(file).astype(np.uint16) * factor, photometric="rgb"
        )
        file.unlink()


def hidden(folder):
    whole(folder)
    copy(files(folder, "images")[0], folder / "train/images/._p0.png")


def capitals(folder):
    whole(folder)
    rename(folder, "masks", lambda f: f.name.replace("p", "P", 1))


def leak(folder, near=False):
    whole(folder)
    for i in (0, 1):
        source, target = files(folder, "images", "train")[i], files(folder, "images", "val")[i]
        copy(files(folder, "masks", "train")[i], files(folder, "masks", "val")[i])
        if near:
            Image.open(source).save(target.with_suffix(".jpg"), quality=80)
            target.unlink()
        else:
            copy(source, target)


def twice(folder, near=False):
    whole(folder)
    source, mask = files(folder, "images", "train")[0], files(folder, "masks", "train")[0]
    if near:
        Image.open(source).save(folder / "train/images/q.jpg", quality=85)
    else:
        copy(source, folder / "train/images/q.png")
    copy(mask, folder / "train/masks/q.png")


def contradicting(folder):
    twice(folder)
    copy(files(folder, "masks", "train")[3], folder / "train/masks/q.png")


def torn(folder, size=384):
    """Every third frame of a move is in val."""
    for split in COUNTS:
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
    picture, mask = scene(0, 0, size)
    for i in range(18):
        split = "val" if i % 3 == 2 else "train"
        for kind, values in (("images", picture), ("masks", mask.astype(np.uint8))):
            cut = values[5 * i :, 7 * i :][:SIZE, :SIZE]
            save(folder / split / kind / f"frame_{i:04d}.png", np.ascontiguousarray(cut))
    describe(folder)


def train_without(folder):
    """Class 1 is only in val."""
    whole(folder, names=["other", "building"])
    for_masks(folder, lambda m: np.where(m == 1, 1, 0).astype(np.uint8), "val")
    for_masks(folder, lambda m: np.zeros_like(m), "train")


def remove(folder, kind, number=1):
    whole(folder)
    for file in files(folder, kind, "train")[:number]:
        file.unlink()


def undescribed(folder):
    whole(folder)
    (folder / "data.yaml").unlink()


def beside(folder):
    """images/ and labels/ alone, masks black and white, called _mask."""
    binary(folder, 0, 255)
    (folder / "data.yaml").unlink()
    for file in files(folder, "images", "train"):
        copy(file, folder / "photos" / file.name)
        copy(file.parent.parent / "masks" / file.name, folder / "labels" / f"{file.stem}_mask.png")
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "val")


def misspelt(folder):
    whole(folder)
    text = (folder / "data.yaml").read_text()
    (folder / "data.yaml").write_text(text.replace("names:", "nmaes:").replace("val:", "vall:"))


def two_mistakes(folder):
    whole(folder, scale=-3, bands="all")


def with_text(folder, text):
    whole(folder)
    (folder / "data.yaml").write_text(text)


def grey_in_colour(folder):
    binary(folder, 0, 255)
    for_masks(folder, lambda m: np.repeat(m[..., None], 3, axis=2))


def mirrored_leak(folder):
    whole(folder)
    for kind in ("images", "masks"):
        for i in range(3):
            values = load(folder / "train" / kind / f"p{i}.png")
            save(folder / "val" / kind / f"p{i}.png", np.ascontiguousarray(values[:, ::-1]))


def dangling(folder):
    whole(folder)
    file = files(folder, "images")[1]
    file.unlink()
    file.symlink_to("nowhere.png")


def with_copies(folder):
    """Cityscapes' four files for each picture."""
    whole(folder)
    rename(folder, "images", lambda f: f"c_{f.stem}_leftImg8bit.png")
    for file in files(folder, "masks"):
        for kind in ("color", "instanceIds", "labelIds", "labelTrainIds"):
            copy(file, file.with_name(f"c_{file.stem}_gtFine_{kind}.png"))
        file.unlink()


def in_one_folder(folder):
    whole(folder, train="train", val="val")
    for split in COUNTS:
        for file in files(folder, "images", split):
            file.rename(folder / split / file.name)
        for file in files(folder, "masks", split):
            file.rename(folder / split / f"{file.stem}_mask.png")
        (folder / split / "images").rmdir()
        (folder / split / "masks").rmdir()


def below_zero(folder):
    whole(folder)
    for file in files(folder, "masks"):
        mask = load(file).astype(np.int16)
        mask[:9, :9] = -1
        tifffile.imwrite(file.with_suffix(".tif"), mask)
        file.unlink()


def elsewhere(folder):
    whole(folder)
    for split in COUNTS:
        (folder / split / "masks").rename(folder / split / "labels")


def palettes_of_each(folder):
    """Indices in the order of the colours of each file."""
    whole(folder)
    for i, file in enumerate(files(folder, "masks")):
        order = np.roll(np.arange(7), i % 3)
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[load(file)])
        table = np.zeros((256, 3), np.uint8)
        table[:7] = COLOURS[order]
        image.putpalette(table.tobytes())
        image.save(file)


def shuffled(folder, number=None):
    whole(folder)
    masks = files(folder, "masks", "train")[:number]
    values = [load(file) for file in masks]
    for file, mask in zip(masks, values[1:] + values[:1], strict=True):
        save(file, mask)
    if number is None:
        masks = files(folder, "masks", "val")
        values = [load(file) for file in masks]
        for file, mask in zip(masks, values[1:] + values[:1], strict=True):
            save(file, mask)


def folders_swapped(folder):
    whole(folder)
    for split in COUNTS:
        (folder / split / "images").rename(folder / split / "aside")
        (folder / split / "masks").rename(folder / split / "images")
        (folder / split / "aside").rename(folder / split / "masks")


def spoilt(folder, kind):
    """A byte within the pixels is another one."""
    whole(folder)
    file = files(folder, kind)[1]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(bytes(content))


def pages(folder):
    whole(folder)
    file = files(folder, "masks", "train")[0]
    tifffile.imwrite(file.with_suffix(".tif"), np.stack([load(file)] * 3), photometric="minisblack")
    file.unlink()


def two_scales(folder):
    whole(folder)
    for i, file in enumerate(files(folder, "images")):
        values = load(file).astype(np.float32) / (255 if i % 4 == 0 else 1)
        tifffile.imwrite(file.with_suffix(".tif"), values, photometric="rgb")
        file.unlink()


def in_subfolders(folder):
    whole(folder)
    for split in COUNTS:
        for file in files(folder, "images", split):
            copy(file, file.parent / "sub" / file.name)
            file.unlink()


def leaked_as(folder, change):
    """A picture of train is in val too, with its mask, in another way."""
    whole(folder)
    for kind in ("images", "masks"):
        values = load(folder / "train" / kind / "p3.png")
        save(folder / "val" / kind / "p0.png", np.ascontiguousarray(change(values)))


def rare_class(folder):
    binary(folder)

    def mask(values):
        found = np.zeros_like(values)
        rows, columns = np.nonzero(values == 1) if (values == 1).any() else ([3], [3])
        found[rows[:9], columns[:9]] = 1
        return found

    for_masks(folder, mask)


def large(folder):
    """Four times as high and wide as a crop."""
    binary(folder)
    for kind in ("images", "masks"):
        for file in files(folder, kind, "train")[:2]:
            image = Image.open(file)
            image.resize((1400, 1400), Image.Resampling.NEAREST).save(file)
        for file in files(folder, kind, "train")[2:]:
            file.unlink()


BROKEN = {
    # values
    "0 and 255": Broken(lambda f: binary(f, 0, 255), "values-0-255", "p0.png", mends=True),
    "from 1": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m + 1)), "values-from-1", "p0.png", mends=True
    ),
    "zero is other": Broken(lambda f: whole(f, names=NAMES[:6]), "values-zero-other", mends=True),
    "grey levels": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m * 40)),
        "values-grey-levels",
        "p0.png",
        mends=True,
    ),
    "odd grey levels": Broken(
        lambda f: (
            whole(f),
            for_masks(f, lambda m: np.array([3, 50, 77, 110, 150, 201, 240], np.uint8)[m]),
        ),
        "values-grey-levels",
        mends=True,
    ),
    "antialiased": Broken(
        lambda f: (binary(f, 0, 255, map={0: 0, 255: 1}), for_masks(f, smear)),
        "mask-smeared",
        "p0.png",
        mends=True,
    ),
    "antialiased classes": Broken(
        lambda f: (
            whole(f, map={i * 40: i for i in range(7)}),
            for_masks(f, lambda m: smear(m * 40)),
        ),
        "mask-smeared",
        "p0.png",
        mends=True,
    ),
    "JPEG masks": Broken(jpeg_masks, "mask-lossy", "p0.jpg"),
    "JPEG masks called PNG": Broken(lambda f: jpeg_masks(f, ".png"), "mask-lossy", "p0.png"),
    "JPEG saved as PNG": Broken(
        lambda f: (
            jpeg_masks(f, ".png"),
            [Image.open(x).save(x, "PNG") for x in files(f, "masks")],
        ),
        "mask-smeared",
        "p0.png",
        mends=True,
    ),
    "colours": Broken(lambda f: in_colours(f, COLOURS), "mask-colours", "p0.png", mends=True),
    "VOC's colours": Broken(
        lambda f: in_colours(
            f, np.array([[c >> 16, c >> 8 & 255, c & 255] for c in voc(7)], np.uint8)
        ),
        "mask-colours",
        "p0.png",
        mends=True,
    ),
    "a colour too many": Broken(
        lambda f: in_colours(
            f,
            COLOURS,
            map={hexadecimal(c): i for i, c in enumerate(COLOURS[:6].tolist())},
            names=NAMES[:6],
        ),
        "colours-unlisted",
        mends=True,
    ),
    "palette indices": Broken(palette_png, "palette-indices", "p0.png", mends=True),
    "1 bit": Broken(one_bit, "values-are-ids", "p0.png", mends=True),
    "16 bit": Broken(deep, "values-grey-levels", "p0.tif", mends=True),
    "16-bit floats": Broken(lambda f: deep(f, 1, np.float32), "mask-float", "p0.tif"),
    "labels in alpha": Broken(alpha_mask, "mask-alpha", "p0.png"),
    "Cityscapes' label ids": Broken(city, "values-label-ids", "p0.png", mends=True),
    "Cityscapes' train ids": Broken(city_train_ids, "values-train-ids", "labelIds.png", mends=True),
    "VOC's border": Broken(voc_border, "values-border", "p0.png", mends=True),
    "instances": Broken(instances, "values-instances", "p0.tif", mends=True),
    "two conventions": Broken(half_and_half, "values-mixed", "val/masks/p0.png", mends=True),
    "val from 1": Broken(mixed_from_1, "values-mixed", "val/masks/p0.png"),
    "a stray value": Broken(
        lambda f: (
            whole(f),
            for_masks(
                f,
                lambda m: np.where(np.indices(m.shape).sum(0) < 5, 99, m).astype(np.uint8),
                "train",
                1,
            ),
        ),
        "values-unlisted",
        "train/masks/p0.png",
        mends=True,
    ),
    "one colour mask": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: COLOURS[m], "train", 1)),
        "mask-colours",
        "train/masks/p0.png",
    ),
    # placing
    "other sizes": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[::2, ::2], "train", 2)),
        "sizes-differ",
        "train/masks/p1.png",
    ),
    "a row less": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[:-1], "train", 2)),
        "sizes-differ",
        "train/masks/p1.png",
    ),
    "EXIF 6": Broken(lambda f: exif(f, 6, None, crop=90), "exif-turned", "p0.jpg"),
    "EXIF 3": Broken(lambda f: exif(f, 3, None), "exif-turned", "p0.jpg"),
    "EXIF 8, square": Broken(lambda f: exif(f, 8, None), "exif-turned", "p0.jpg"),
    "masks on their side": Broken(
        lambda f: (
            whole(f),
            for_pictures(f, lambda p: p[:90]),
            for_masks(f, lambda m: np.rot90(m[:90])),
        ),
        "mask-turned",
        "p0.png",
    ),
    "moved": Broken(lambda f: shifted(f, 5, -7), "mask-moved", "p0.png"),
    "moved in train": Broken(
        lambda f: shifted(f, 0, 6, "train"), "mask-moved", "train/masks/p1.png"
    ),
    "mirrored": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[:, ::-1])), "mask-mirrored", "p0.png"
    ),
    "upside down": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[::-1])), "mask-mirrored", "p0.png"
    ),
    "turned by 180": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[::-1, ::-1])), "mask-turned", "p0.png"
    ),
    "transposed": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m.T)), "mask-turned", "p0.png"
    ),
    "some mirrored": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[:, ::-1], "train", 4)),
        "mask-mirrored",
        "p1.png",
    ),
    # files
    "picture cut off": Broken(
        lambda f: truncated(f, "images"), "picture-unreadable", "images/p1.png"
    ),
    "mask cut off": Broken(lambda f: truncated(f, "masks"), "mask-unreadable", "masks/p1.png"),
    "empty file": Broken(
        lambda f: written(f, "images", b""), "picture-unreadable", "images/p1.png"
    ),
    "Git LFS": Broken(
        lambda f: written(f, "images", b"version https://git-lfs.github.com/spec/v1\noid sha256:1"),
        "picture-unreadable",
        "images/p1.png",
    ),
    "web page": Broken(
        lambda f: written(f, "masks", b"<!DOCTYPE html><html></html>"),
        "mask-unreadable",
        "masks/p1.png",
    ),
    "no picture at all": Broken(
        lambda f: written(f, "images", b"hello" * 50), "picture-unreadable", "images/p1.png"
    ),
    "PNG called JPEG": Broken(suffix_wrong, "picture-suffix", "images/p0.jpg", severity="warn"),
    "CMYK": Broken(
        lambda f: saved_as(f, "CMYK", ".jpg", quality=95), "picture-cmyk", "p0.jpg", severity="warn"
    ),
    "animated": Broken(animated, "picture-animated", "p0.webp"),
    "transparent": Broken(transparent, "picture-alpha", "p0.png", severity="warn"),
    "NaN": Broken(lambda f: as_floats(f, np.nan), "picture-nan", "p0.tif", severity="warn"),
    "-9999": Broken(lambda f: as_floats(f, -9999), "picture-nodata", "p0.tif", mends=True),
    "four bands": Broken(four_bands, "bands-differ", "p0.tif", mends=True),
    "two depths": Broken(two_depths, "types-differ", "p0.tif"),
    "dim val": Broken(dim_val, "range-differs"),
    "black picture": Broken(
        lambda f: (whole(f), for_pictures(f, lambda p: p * 0, "train", 1)),
        "picture-constant",
        "train/images/p0.png",
        severity="warn",
    ),
    "hidden": Broken(hidden, "hidden-files", "._p0.png", severity="note"),
    "GIF masks": Broken(lambda f: saved_as(f, "L", ".gif", "masks"), "mask-format", "p0.gif"),
    # names
    "suffix _mask": Broken(
        lambda f: (whole(f), rename(f, "masks", lambda x: f"{x.stem}_mask.png")),
        "names-differ",
        "p0.png",
        mends=True,
    ),
    "Cityscapes' names": Broken(
        lambda f: (
            whole(f),
            rename(f, "images", lambda x: f"a_{x.stem}_leftImg8bit.png"),
            rename(f, "masks", lambda x: f"a_{x.stem}_gtFine_labelIds.png"),
        ),
        "names-differ",
        "p0_leftImg8bit.png",
        mends=True,
    ),
    "other beginnings": Broken(
        lambda f: (
            whole(f),
            rename(f, "images", lambda x: f"image_{x.name[1:]}"),
            rename(f, "masks", lambda x: f"label_{x.name[1:]}"),
        ),
        "names-differ",
        "image_0.png",
        mends=True,
    ),
    "capitals": Broken(capitals, "names-case", "p0.png"),
    "mask missing": Broken(lambda f: remove(f, "masks", 2), "mask-missing", "train/images/p1.png"),
    "many orphans": Broken(
        lambda f: remove(f, "images", 5), "mask-orphan", "train/masks/p1.png", severity="warn"
    ),
    "two masks": Broken(
        lambda f: (whole(f), Image.open(f / "train/masks/p0.png").save(f / "train/masks/p0.tif")),
        "mask-several",
        "p0.tif",
    ),
    # splits
    "leak": Broken(leak, "leak", "val/images/p0.png"),
    "near leak": Broken(lambda f: leak(f, near=True), "near-leak", "val/images/p0.jpg"),
    "twice": Broken(twice, "duplicates", "q.png", severity="warn"),
    "twice, saved anew": Broken(
        lambda f: twice(f, near=True), "near-duplicates", "q.jpg", severity="note"
    ),
    "twice, other masks": Broken(contradicting, "labels-contradict", "q.png", severity="warn"),
    "torn sequence": Broken(torn, "sequence-torn", "frame_0002.png", severity="warn"),
    "no val": Broken(lambda f: whole(f, val=None), "no-val"),
    # classes
    "absent from train": Broken(train_without, "class-absent-train", severity="warn", starts=False),
    "train of one class": Broken(train_without, "split-one-class", "train/masks/p0.png"),
    "absent everywhere": Broken(
        lambda f: whole(f, names=[*NAMES, "unicorn"]), "class-absent", severity="note"
    ),
    "constant": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m * 0)), "mask-constant", "p0.png"
    ),
    "all ignored": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m * 0 + 255, "train", 3)),
        "mask-empty",
        "p0.png",
        severity="warn",
    ),
    # descriptions
    "no data.yaml": Broken(undescribed, "no-data-yaml", mends=True),
    "two folders": Broken(beside, "no-names"),
    "misspelt": Broken(misspelt, "description", "data.yaml", mends=True),
    "two mistakes": Broken(two_mistakes, "description", "data.yaml", mends=True),
    "not YAML": Broken(
        lambda f: with_text(f, "names: [a, b\ntrain: x"), "description", "data.yaml"
    ),
    "no names": Broken(lambda f: whole(f, names=None), "description", "data.yaml", mends=True),
    "masks elsewhere": Broken(elsewhere, "description", "data.yaml", mends=True),
    "folder not there": Broken(
        lambda f: whole(f, train="trian/images"), "description", "data.yaml", mends=True
    ),
    "names from 1": Broken(
        lambda f: whole(f, names={i + 1: name for i, name in enumerate(NAMES)}),
        "description",
        "data.yaml",
        mends=True,
    ),
    "one name": Broken(
        lambda f: binary(f) and describe(f, names=["building"]),
        "description",
        "data.yaml",
        mends=True,
    ),
    "key of another program": Broken(
        lambda f: whole(f, nc=7), "description", "data.yaml", mends=True
    ),
    "black and white in colour": Broken(grey_in_colour, "values-0-255", "p0.png", mends=True),
    "below zero": Broken(below_zero, "values-unlisted", "p0.tif", mends=True),
    "mirrored leak": Broken(mirrored_leak, "near-leak", "val/images/p0.png"),
    "dangling link": Broken(dangling, "picture-unreadable", "images/p1.png"),
    "Cityscapes' copies": Broken(with_copies, "names-differ", "p0_leftImg8bit.png", mends=True),
    "in one folder": Broken(in_one_folder, "description", "data.yaml", mends=True),
    "some moved": Broken(
        lambda f: shifted(f, 8, 8, "train", 4), "mask-moved", "train/masks/p1.png"
    ),
    "moved by 22": Broken(lambda f: shifted(f, 22, 0), "mask-moved", "p0.png"),
    "ADE20K as it is": Broken(
        lambda f: (
            whole(f, names=["wall", *(f"thing {i}" for i in range(149))]),
            for_masks(f, lambda m: m + (m > 0)),
        ),
        "values-zero-other",
        "p0.png",
        mends=True,
        severity="warn",
    ),
    "val of one class": Broken(
        lambda f: (
            whole(f),
            for_masks(f, lambda m: np.where(m > 0, 255, 0).astype(np.uint8), "val"),
        ),
        "split-one-class",
    ),
    "val is train": Broken(lambda f: whole(f, val="train/images"), "leak", "p0.png"),
    "val is empty": Broken(
        lambda f: (whole(f), [x.unlink() for x in files(f, "images", "val")]), "split-empty"
    ),
    "map to no class": Broken(
        lambda f: whole(f, map={0: 9}), "description", "data.yaml", mends=True
    ),
    # more of each kind
    "one in many black and white": Broken(
        lambda f: (binary(f), for_masks(f, lambda m: m * 255, "train", 1)),
        "values-mixed",
        "train/masks/p0.png",
        mends=True,
    ),
    "ids smeared into others": Broken(
        lambda f: (
            whole(f),
            for_masks(f, lambda m: smear(np.where(m > 0, 6, 0).astype(np.uint8))),
        ),
        "mask-smeared",
        "p0.png",
    ),
    "palettes of each file": Broken(palettes_of_each, "palette-indices", mends=True),
    "a name lacks": Broken(
        lambda f: whole(f, names=["other", *NAMES[1:6]]), "values-unlisted", mends=True
    ),
    "colours in val only": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: COLOURS[m], "val")),
        "mask-colours",
        "val/masks/p0.png",
        mends=True,
    ),
    "shuffled": Broken(lambda f: shuffled(f), "mask-shuffled", "p0.png"),
    "two exchanged": Broken(lambda f: shuffled(f, 2), "mask-shuffled", "train/masks/p1.png"),
    "one mask for all": Broken(
        lambda f: (whole(f), [copy(files(f, "masks")[0], x) for x in files(f, "masks")[1:]]),
        "mask-same",
        "p1.png",
    ),
    "masks are pictures": Broken(
        lambda f: (
            whole(f),
            [copy(x, x.parents[1] / "masks" / x.name) for x in files(f, "images", "train")],
        ),
        "mask-is-picture",
        "train/masks/p0.png",
    ),
    "folders swapped": Broken(folders_swapped, "folders-swapped", "p0.png"),
    "one mirrored": Broken(
        lambda f: (whole(f), for_masks(f, lambda m: m[:, ::-1], "val", 1)),
        "mask-mirrored",
        "val/masks/p0.png",
    ),
    "check sum of a PNG": Broken(lambda f: spoilt(f, "masks"), "mask-unreadable", "masks/p1.png"),
    "zeros": Broken(lambda f: written(f, "images", bytes(2000)), "picture-unreadable", "p1.png"),
    "JSON text": Broken(
        lambda f: written(f, "images", b'{"error": "not found"}'), "picture-unreadable", "p1.png"
    ),
    "HEIC": Broken(
        lambda f: written(f, "images", b"\0\0\0\x18ftypheic" + bytes(600)),
        "picture-unreadable",
        "p1.png",
    ),
    "a folder called PNG": Broken(
        lambda f: (
            whole(f),
            (f / "train/images/p9.png").mkdir(),
            copy(f / "train/masks/p0.png", f / "train/masks/p9.png"),
        ),
        "picture-unreadable",
        "p9.png",
    ),
    "CMYK in TIFF": Broken(
        lambda f: saved_as(f, "CMYK", ".tif"), "picture-cmyk", "p0.tif", severity="warn"
    ),
    "mask of pages": Broken(pages, "mask-animated", "train/masks/p0.tif"),
    "floats of two scales": Broken(two_scales, "range-differs", "p0.tif"),
    "point in the suffix": Broken(
        lambda f: (whole(f), rename(f, "masks", lambda x: f"{x.stem}.mask.png")),
        "names-differ",
        "p0.png",
        mends=True,
    ),
    "zeros in names": Broken(
        lambda f: (
            whole(f),
            rename(f, "masks", lambda x: f"p{'0' * (1 + int(x.stem[1:]) % 2)}{x.name[1:]}"),
        ),
        "names-case",
        "p0.png",
    ),
    "other subfolders": Broken(in_subfolders, "names-case", "sub/p0.png"),
    "suffix in val only": Broken(
        lambda f: (whole(f), rename(f, "masks", lambda x: f"{x.stem}_mask.png", "val")),
        "names-differ",
        "val/images/p0.png",
    ),
    "names alike": Broken(
        lambda f: whole(f, names=[NAMES[0].upper(), *NAMES[:6]]), "names-alike", severity="warn"
    ),
    "a name is empty": Broken(
        lambda f: whole(f, names=["", *NAMES[1:]]), "description", "data.yaml", mends=True
    ),
    "cropped leak": Broken(
        lambda f: leaked_as(f, lambda x: x[8:, 5:]), "near-leak", "val/images/p0.png"
    ),
    "turned leak": Broken(
        lambda f: leaked_as(f, lambda x: np.rot90(x)), "near-leak", "val/images/p0.png"
    ),
    "brighter leak": Broken(
        lambda f: leaked_as(f, lambda x: x if x.ndim < 3 else (x * 0.7 + 60).astype(np.uint8)),
        "near-leak",
        "val/images/p0.png",
    ),
    "a rare class": Broken(rare_class, "class-rare", severity="note"),
    "archive": Broken(
        lambda f: (whole(f), (f / "images.zip").write_bytes(b"PK")),
        "archives",
        "images.zip",
        severity="note",
    ),
    "large pictures": Broken(large, "crop-loses", severity="note"),
}
"""Name of the fault -> how it is made and told."""
