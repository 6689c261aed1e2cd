"""PNG of any depth, frames, formats under other names: what is in the file counts."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.data.reading import read_header, read_mask, read_picture
from pixelwise.errors import InputError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (48, 64, 3), np.uint8)
PASSES = (
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
)  # fmt: skip


def write_png(file, values, depth, kind, interlaced=0):
    """A PNG by hand: `kind` is 0 for grey, 2 for colour, 4 and 6 with transparency."""

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    def rows(part):
        if depth >= 8:
            return b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in part)
        bits = (part[..., None] >> np.arange(depth)[::-1] & 1).reshape(len(part), -1)
        return b"".join(b"\0" + row.tobytes() for row in np.packbits(bits.astype(bool), axis=1))

    parts = [values[top::down, left::right] for top, left, down, right in PASSES]
    body = b"".join(rows(part) for part in parts if part.size) if interlaced else rows(values)
    height, width = values.shape[:2]
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_any_depth(tmp_path, depth, interlaced):
    ids = RNG.integers(0, 2**depth, (13, 11))
    write_png(tmp_path / "a.png", ids, depth, 0, interlaced)
    assert (read_mask(tmp_path / "a.png") == ids).all()
    white = 65535 if depth == 16 else 255
    picture = read_picture(tmp_path / "a.png").values[0].numpy()
    assert (picture == ids * (white // (2**depth - 1))).all()


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("kind", "samples"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_with_colours_and_transparency(tmp_path, kind, samples, interlaced):
    values = RNG.integers(0, 65536, (13, 11, samples))
    values[2, 3:5, -1] = 0
    write_png(tmp_path / "a.png", values, 16, kind, interlaced)
    picture = read_picture(tmp_path / "a.png")
    bands = read_header(tmp_path / "a.png").bands
    assert picture.dtype == "uint16"
    assert (picture.values.numpy() == np.moveaxis(values, 2, 0)[:bands]).all()
    hidden = values[..., -1] == 0 if samples in {2, 4} else np.zeros((13, 11), bool)
    missing = np.zeros((13, 11), bool) if picture.missing is None else picture.missing.numpy()
    assert (missing == hidden).all()


def test_colour_masks_of_sixteen_bits(tmp_path):
    write_png(tmp_path / "a.png", COLOUR.astype(int) * 257, 16, 2)
    assert (read_mask(tmp_path / "a.png") == COLOUR).all()
    write_png(tmp_path / "a.png", COLOUR.astype(int) * 256, 16, 2)
    with pytest.raises(InputError, match="colours of 16 bits"):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_fully_transparent_pixels_have_no_data(tmp_path, mode):
    image = Image.fromarray(COLOUR).convert({"P": "RGB", "LA": "L", "RGBA": "RGB"}[mode])
    if mode == "P":
        image = image.quantize(16)
        image.info["transparency"] = 7
        hidden = np.array(image) == 7
    else:
        hidden = COLOUR[..., 0] < 20
        image.putalpha(Image.fromarray(np.where(hidden, 0, 9).astype(np.uint8)))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert len(picture.values) == (1 if mode == "LA" else 3)
    assert hidden.any()
    assert (picture.missing.numpy() == hidden).all()


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
def test_several_frames_are_refused(tmp_path, suffix):
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    frames[0].save(tmp_path / "a", suffix, save_all=True, append_images=frames[1:])
    (tmp_path / "a").rename(tmp_path / "a.png")
    for read in (read_picture, read_header, read_mask):
        with pytest.raises(InputError, match="holds 2 frames; save the one that is meant"):
            read(tmp_path / "a.png")


def test_the_format_is_looked_at_not_the_suffix(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a", "JPEG")
    (tmp_path / "a").rename(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").values.shape == (3, 48, 64)
    with pytest.raises(InputError, match="is a JPEG whatever its name says, which blurs ids"):
        read_mask(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(tmp_path / "b", "PNG")
    (tmp_path / "b").rename(tmp_path / "b.tif")
    assert (read_mask(tmp_path / "b.tif") == COLOUR).all()
    tifffile.imwrite(tmp_path / "c", COLOUR, photometric="rgb")
    (tmp_path / "c").rename(tmp_path / "c.png")
    assert (read_picture(tmp_path / "c.png").values.numpy() == np.moveaxis(COLOUR, 2, 0)).all()


def test_lossy_webp_is_no_mask(tmp_path):
    for lossless in (True, False):
        Image.fromarray(COLOUR).save(tmp_path / "a", "WEBP", lossless=lossless)
        (tmp_path / "a").rename(tmp_path / "a.png")
        if lossless:
            assert (read_mask(tmp_path / "a.png") == COLOUR).all()
    with pytest.raises(InputError, match="is a WEBP"):
        read_mask(tmp_path / "a.png")


def test_masks_whose_labels_are_their_transparency_are_refused(tmp_path):
    values = np.zeros((5, 7, 4), np.uint8)
    values[2:, :, 3] = 255
    Image.fromarray(values).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="only its transparency varies; save that as grey"):
        read_mask(tmp_path / "a.png")


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    smooth = np.zeros((48, 64, 3), np.uint8) + np.array([200, 100, 50], np.uint8)
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    values = read_picture(tmp_path / "a.jpg").values.numpy()
    assert np.abs(np.moveaxis(values, 0, 2).astype(int) - smooth).max() <= 4


def test_large_pictures_are_refused_unless_asked_for(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    for read in (read_picture, read_header, read_mask):
        with pytest.raises(InputError, match=r"million pixels, more than 0.001; raise max_mega"):
            read(tmp_path / "a.png", max_megapixels=0.001)
        read(tmp_path / "a.png", max_megapixels=0.1)
    assert Image.MAX_IMAGE_PIXELS is not None
