"""Every kind of picture file arrives as (bands, h, w) with its raw values."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pixelwise.data.decoded import Header
from pixelwise.data.reading import read_header, read_mask, read_picture
from pixelwise.errors import InputError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def read_image(file, bands=None, channels=None):
    return read_picture(file, bands, channels).values


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_colour(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    Image.fromarray(COLOUR).save(file)
    image = read_image(file)
    assert (image.numpy() == np.moveaxis(COLOUR, 2, 0)).all()
    assert read_header(file) == Header(5, 7, 3, "uint8")
    assert read_image(file, bands=(2,)).tolist() == image[2:].tolist()


@pytest.mark.parametrize(
    ("mode", "bands"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)]
)
def test_modes_have_their_bands(tmp_path, mode, bands):
    file = tmp_path / "a.png"
    Image.fromarray(COLOUR).convert(mode).save(file)
    assert read_header(file).bands == len(read_image(file)) == bands
    assert read_image(file, channels=3).shape == (3, 5, 7)
    assert read_image(file, channels=1).shape == (1, 5, 7)


def test_alpha_only_on_request(tmp_path):
    file = tmp_path / "a.png"
    values = RNG.integers(0, 256, (5, 7, 4), np.uint8)
    Image.fromarray(values).save(file)
    assert (read_image(file).numpy() == np.moveaxis(values, 2, 0)[:3]).all()
    assert (read_image(file, bands=(3, 0)).numpy() == np.moveaxis(values, 2, 0)[[3, 0]]).all()


def test_grey_becomes_colour(tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(COLOUR[..., 0]).save(file)
    image = read_image(file, channels=3)
    assert (image.numpy() == COLOUR[None, ..., 0]).all()
    assert image.shape == (3, 5, 7)


def test_camera_rotation(tmp_path):
    file = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, :8] = 255
    Image.fromarray(wide).save(file, exif=exif, quality=95)
    assert read_header(file) == Header(24, 8, 3, "uint8")
    image = read_image(file)
    assert image.shape == (3, 24, 8)
    assert image[:, :7].min() > 200
    assert image[:, 9:].max() < 50


def test_sixteen_bit_png(tmp_path):
    grey = RNG.integers(0, 65536, (5, 7), np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert read_header(tmp_path / "grey.png") == Header(5, 7, 1, "uint16")
    image = read_image(tmp_path / "grey.png")
    assert image.dtype == torch.uint16
    assert (image.numpy() == grey).all()
    assert read_image(tmp_path / "grey.png", channels=3).shape == (3, 5, 7)
    assert (read_mask(tmp_path / "grey.png") == grey).all()


def deep_colour_png(file, values):
    """A 16-bit RGB or RGBA PNG by hand: Pillow writes none."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bands", [3, 4])
def test_sixteen_bit_colour_png_keeps_all_bits(tmp_path, bands):
    values = RNG.integers(0, 65536, (5, 7, bands), np.uint16)
    deep_colour_png(tmp_path / "a.png", values)
    assert read_header(tmp_path / "a.png") == Header(5, 7, 3, "uint16")
    planes = np.moveaxis(values, 2, 0)
    assert (read_image(tmp_path / "a.png").numpy() == planes[:3]).all()
    assert (read_image(tmp_path / "a.png", bands=range(bands)).numpy() == planes).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff(tmp_path, dtype, bands, planar):
    values = (RNG.random((bands, 5, 7)) * 200).astype(dtype)
    stored = values[0] if bands == 1 else values
    if planar == "contig" and bands > 1:
        stored = np.moveaxis(values, 0, 2)
    kind = {} if bands == 1 else {"planarconfig": planar}
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", **kind)
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == getattr(torch, np.dtype(dtype).name)
    assert (image.numpy() == values).all()
    assert read_header(tmp_path / "a.tif") == Header(5, 7, bands, np.dtype(dtype).name)


def test_big_endian_and_deflate_tiff(tmp_path):
    values = RNG.integers(0, 65536, (5, 7), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=">", compression="zlib")
    assert (read_image(tmp_path / "a.tif").numpy()[0] == values).all()
    assert (read_mask(tmp_path / "a.tif") == values).all()


def test_lzw_tiff(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert (read_image(tmp_path / "a.tif").numpy() == np.moveaxis(COLOUR, 2, 0)).all()
    assert (read_mask(tmp_path / "a.tif") == COLOUR).all()


def test_tiff_of_another_type(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7), np.complex64))
    for read in (read_image, read_header):
        with pytest.raises(InputError, match=r"a.tif: holds complex64"):
            read(tmp_path / "a.tif")
    with pytest.raises(InputError, match="not whole numbers"):
        read_mask(tmp_path / "a.tif")


def test_bands_that_do_not_fit(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5, 7), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="has 4 bands, but 3 are expected"):
        read_image(tmp_path / "a.tif", channels=3)
    with pytest.raises(InputError, match="there is no band 4; it has 4, counted from 0"):
        read_image(tmp_path / "a.tif", bands=(0, 4))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_damaged_files(tmp_path, suffix, read):
    file = tmp_path / f"a{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(file)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:30], b"", b"text, no picture at all"):
        file.write_bytes(content)
        with pytest.raises(
            InputError, match=f"a{suffix}.*(cannot be read|blurs ids|is damaged)"
        ) as caught:
            read(file)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / f"b{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_header_does_not_decode(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 96, 3), np.uint8)).save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert read_header(file) == Header(64, 96, 3, "uint8")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("RGB.byte.tif", Header(718, 791, 3, "uint8")),
        ("kampala_z21.tif", Header(2048, 3072, 3, "uint8")),
        ("sample_geotiff.tif", Header(900, 900, 1, "uint16")),
    ],
)
def test_geotiff(real_data, name, header):
    file = real_data("geotiff") / name
    assert read_header(file) == header
    image = read_image(file)
    assert image.shape == (header.bands, header.height, header.width)
    assert image.float().std() > 1
    mask = real_data("geotiff/kampala_z21_buildings.tif")
    assert set(np.unique(read_mask(mask))) <= {0, 1, 255}


def test_a_library_that_puts_its_own_function_in_the_place_of_pillows(tmp_path, monkeypatch):
    """Ultralytics asks for a package that reads HEIC where Pillow knows no picture."""

    def asks(*args, **options):
        raise ModuleNotFoundError("No module named 'pi_heif'")

    file = tmp_path / "damaged.png"
    file.write_bytes(b"no picture")
    monkeypatch.setattr("PIL.Image.open", asks)
    with pytest.raises(InputError, match=r"damaged\.png: .*; "):
        read_image(file)
