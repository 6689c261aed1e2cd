"""TIFF files are read as they are meant: axes, pages, photometry, transparency, orientation."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.data import codecs
from pixelwise.data.decoded import stretched
from pixelwise.data.reading import read_header, read_mask, read_picture
from pixelwise.errors import InputError

RNG = np.random.default_rng(0)
BANDS = RNG.integers(0, 200, (4, 5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (48, 64, 3), np.uint8)
FIRST = np.moveaxis(COLOUR, 2, 0)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.tif"


def same(file, values, **options):
    """Whether a picture holds these values, and its header says so before."""
    picture, header = read_picture(file, **options), read_header(file)
    assert (header.height, header.width) == picture.values.shape[1:]
    assert header.bands == len(picture.values) or options
    return picture.values.shape == values.shape and bool((picture.values.numpy() == values).all())


@pytest.mark.parametrize(
    "axes", ["CYX", "ZYX", "IYX", "QYX", "TYX", "YXC", "XYC", "YCX", "XCY", "CXY"]
)
def test_axes_of_any_order_are_bands_rows_columns(file, axes):
    order = ["CYX".index(axis if axis in "YX" else "C") for axis in axes]
    stored = BANDS.transpose(order)
    tifffile.imwrite(file, stored, photometric="minisblack", metadata={"axes": axes})
    assert same(file, BANDS)


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 5, 7, 3)])
def test_more_axes_than_a_picture_has_are_refused(file, shape):
    tifffile.imwrite(file, np.zeros(shape, np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="save one picture of bands, rows and columns"):
        read_picture(file)


def test_pages_of_one_band_are_bands(file):
    with tifffile.TiffWriter(file) as writer:
        for band in BANDS:
            writer.write(band, metadata=None)
    assert same(file, BANDS)


@pytest.mark.parametrize("marked", [0, 1])
def test_a_reduced_page_before_the_picture_is_passed_over(file, marked):
    with tifffile.TiffWriter(file) as writer:
        small = {"subfiletype": marked, "photometric": "rgb", "metadata": None}
        writer.write(COLOUR[::2, ::2], **small)
        writer.write(COLOUR, photometric="rgb", metadata=None)
    assert same(file, FIRST)


def test_a_preview_whose_picture_lies_below_it(file):
    with tifffile.TiffWriter(file) as writer:
        options = {"photometric": "rgb", "metadata": None}
        writer.write(COLOUR[::2, ::2], subifds=1, subfiletype=1, **options)
        writer.write(COLOUR, **options)
    assert same(file, FIRST)


def test_pictures_of_unlike_sizes_are_refused(file):
    with tifffile.TiffWriter(file) as writer:
        for part in (COLOUR, COLOUR[:40, :20]):
            writer.write(part, photometric="rgb", metadata=None)
    with pytest.raises(InputError, match=r"holds 2 pictures .* save the one that is meant"):
        read_picture(file)


def test_a_mask_page_says_where_there_is_data(file):
    valid = np.ones((48, 64), bool)
    valid[3, 4:6] = False
    with tifffile.TiffWriter(file) as writer:
        writer.write(COLOUR, photometric="rgb", metadata=None)
        writer.write(valid, subfiletype=4, photometric=4, metadata=None)
    assert (read_picture(file).missing.numpy() == ~valid).all()


@pytest.mark.parametrize("number", [0, 2])
def test_in_a_palette_no_data_is_an_index_and_no_colour(file, number):
    indices = np.array([[0, 1], [2, 3]], np.uint8)
    table = np.zeros((3, 256), np.uint16)
    table[:, :4] = [[2, 9, 0, 2], [2, 8, 0, 7], [2, 7, 0, 5]]
    tag = (42113, "s", 0, str(number), True)
    tifffile.imwrite(file, indices, photometric="palette", colormap=table * 257, extratags=[tag])
    assert np.array_equal(read_picture(file).missing.numpy(), indices == number)


def test_a_palette_gives_colours_to_pictures_and_indices_to_masks(file):
    indices = RNG.integers(0, 256, (5, 7), np.uint8)
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16)
    tifffile.imwrite(file, indices, photometric="palette", colormap=table * 257)
    assert same(file, table[:, indices])
    assert (read_mask(file) == indices).all()
    assert (read_mask(file, colours=True) == np.moveaxis(table[:, indices], 0, 2)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_where_the_lowest_value_is_white_pictures_are_inverted_and_masks_are_not(file, dtype):
    values = RNG.integers(0, 2, (5, 7)).astype(dtype)
    tifffile.imwrite(file, values, photometric="miniswhite")
    white = 65535 if dtype == np.uint16 else 255
    shown = values.astype(int) * (255 if dtype is bool else 1)
    assert same(file, (white - shown)[None])
    assert (read_mask(file) == values).all()


def test_floats_whose_lowest_value_is_white_are_refused(file):
    tifffile.imwrite(file, np.zeros((5, 7), np.float32), photometric="miniswhite")
    with pytest.raises(InputError, match="lowest value is white, and holds float32"):
        read_picture(file)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_transparency_is_no_band_unless_asked_for(file, kind, planar):
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[0, :3] = 0
    stored = np.concatenate([FIRST, alpha[None]])
    if planar == "contig":
        stored = np.moveaxis(stored, 0, 2)
    tifffile.imwrite(file, stored, photometric="rgb", planarconfig=planar, extrasamples=[kind])
    assert same(file, FIRST)
    assert same(file, FIRST, channels=3)
    assert same(file, alpha[None], bands=(3,))
    assert read_picture(file).missing.sum() == 3
    assert read_picture(file, bands=(3,)).missing is None


def test_a_fourth_band_that_is_no_transparency_stays(file):
    stored = np.concatenate([COLOUR, COLOUR[..., :1]], 2)
    tifffile.imwrite(file, stored, photometric="rgb", extrasamples=["unspecified"])
    assert same(file, np.moveaxis(stored, 2, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_other_viewers(file, orientation):
    tag = (274, 3, 1, orientation, True)
    tifffile.imwrite(file, COLOUR[:5], photometric="rgb", extratags=[tag])
    with Image.open(file) as image:
        assert same(file, np.moveaxis(np.array(image), 2, 0))


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.uint32, np.int32, np.float16, np.float64, np.uint64]
)
def test_other_types_become_float32_exactly(file, dtype):
    values = RNG.integers(0, 100, (5, 7)).astype(dtype)
    tifffile.imwrite(file, values)
    assert same(file, values[None].astype(np.float32))
    assert read_picture(file).dtype == read_header(file).dtype == np.dtype(dtype).name


@pytest.mark.parametrize(
    "values",
    [
        np.arange(35, dtype=np.int32).reshape(5, 7) + 2**25,
        np.arange(35, dtype=np.float64).reshape(5, 7) + 1.7e9,
        np.full((5, 7), 1e200),
    ],
)
def test_values_beyond_float32_are_refused(file, values):
    tifffile.imwrite(file, values)
    with pytest.raises(InputError, match="float32 cannot tell apart"):
        read_picture(file)


@pytest.mark.parametrize("codec", ["tiff_lzw", "zstd", "packbits", "lzma", "tiff_deflate"])
def test_compressions_are_read_with_or_without_imagecodecs(file, codec):
    Image.fromarray(COLOUR).save(file, compression=codec)
    assert same(file, FIRST)
    assert (read_mask(file) == COLOUR).all()


def test_a_compression_that_nobody_can_undo_is_named(file, monkeypatch):
    def fails(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    Image.fromarray(COLOUR).save(file, compression="tiff_lzw")
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", fails)
    monkeypatch.setattr(codecs, "MODES", {})
    with pytest.raises(InputError, match="compressed with LZW; `pip install imagecodecs`"):
        read_picture(file)


def test_jpeg_in_a_tiff_is_a_picture_but_no_mask(file):
    Image.fromarray(COLOUR).save(file, compression="jpeg")
    assert read_picture(file).values.shape == (3, 48, 64)
    with pytest.raises(InputError, match="compressed with JPEG, which blurs ids"):
        read_mask(file)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_other_colours_become_rgb(file, mode):
    Image.fromarray(COLOUR).convert(mode).save(file)
    assert read_header(file).bands == 3
    assert np.abs(read_picture(file).values.numpy().astype(int) - FIRST).max() <= 3


def test_big_tiled_files(file):
    tifffile.imwrite(file, COLOUR, photometric="rgb", bigtiff=True, tile=(16, 16))
    assert same(file, FIRST)


def test_what_no_computer_holds_is_refused_before_it_is_decoded(file):
    with pytest.raises(InputError, match="more than this computer's memory; cut it into tiles"):
        codecs.check_memory(file, (2**30, 2**30), np.dtype(np.uint8))


@pytest.mark.parametrize("big", [False, True])
def test_a_directory_that_leads_back_to_itself_is_refused(file, big):
    tifffile.imwrite(file, COLOUR, photometric="rgb", bigtiff=big)
    with tifffile.TiffFile(file) as opened:
        page, wide = opened.pages[0], 8 if big else 4
        at = page.offset + (8 + 20 * len(page.tags) if big else 2 + 12 * len(page.tags))
        start = page.offset
    content = bytearray(file.read_bytes())
    content[at : at + wide] = start.to_bytes(wide, "little")
    file.write_bytes(content)
    with pytest.raises(InputError, match="directory of pages is damaged"):
        read_picture(file)


def test_few_bits_are_spread_over_the_type():
    assert stretched(np.array([0, 3], np.uint8), 2).tolist() == [0, 255]
    assert stretched(np.array([0, 4095], np.uint16), 12).tolist() == [0, 65535]
