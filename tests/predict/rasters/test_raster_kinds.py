import pytest

pytest.importorskip("rasterio", reason="rasters need rasterio")
import zipfile

import numpy as np
import rasterio
import tifffile
import torch
from PIL import Image
from rasterio.env import get_gdal_config
from rasterio.shutil import copy

import pixelwise.predict
from pixelwise import create_model
from pixelwise.data.rasters.files import CACHE, MEGABYTE, cache_for, limited_cache
from pixelwise.data.reading import read_picture
from pixelwise.errors import InputError
from pixelwise.predict.rasters.source import RasterSource

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
H, W = 40, 56


def values(bands=3, dtype="uint8", highest=255, height=H, width=W):
    rng = np.random.default_rng(0)
    return rng.integers(0, highest + 1, (bands, height, width)).astype(dtype)


def write(path, numbers, *, mask=None, colours=None, **about):
    count, height, width = numbers.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=numbers.dtype,
        **about,
    ) as file:  # fmt: skip
        if colours:
            file.write_colormap(1, colours)
        file.write(numbers)
        if mask is not None:
            file.write_mask(mask)
    return path


def read(path, **about):
    source = RasterSource(path, **about)
    return source.read(0, 0, source.height, source.width)


def one_bit(path):
    write(path, values(1, highest=1), nbits=1)


def white_is_least(path):
    tifffile.imwrite(path, values(1)[0], photometric="miniswhite")


def white_is_least_of_many(path):
    tifffile.imwrite(path, values(1, "uint16", 65535)[0], photometric="miniswhite")


def packed_bits(path):
    tifffile.imwrite(path, values(1, highest=1)[0].astype(bool))


def transparent_palette(path):
    picture = Image.fromarray(values(1, highest=9)[0], "P")
    picture.putpalette([x for i in range(10) for x in (20 * i, 200 - 9 * i, i)])
    picture.save(path.with_suffix(".png"), transparency=3)
    return path.with_suffix(".png")


def clear_colour(path):
    picture = values()
    picture[:, :7] = 5
    image = Image.fromarray(np.moveaxis(picture, 0, 2).copy())
    image.save(path.with_suffix(".png"), transparency=(5, 5, 5))
    return path.with_suffix(".png")


def palette_without_data(path):
    colours = {i: (20 * i, 200 - 9 * i, i, 255) for i in range(10)}
    write(path, values(1, highest=9), colours=colours, nodata=9)


def palette_without_zero(path):
    colours = {i: (20 * i, 200 - 9 * i, i, 255) for i in range(10)}
    write(path, values(1, highest=9), colours=colours, nodata=0)


def associated_alpha(path):
    tifffile.imwrite(path, np.moveaxis(values(4), 0, 2), photometric="rgb", extrasamples=[1])


def half_floats(path):
    tifffile.imwrite(path, values().astype("float16"), photometric="rgb", planarconfig="separate")


def nodata_beyond_the_type(path):
    tag = (42113, "s", 0, "-9999", True)
    tifffile.imwrite(path, np.moveaxis(values(), 0, 2), photometric="rgb", extratags=[tag])


def hidden_by_a_mask_inside(path):
    mask = np.full((H, W), 255, "uint8")
    mask[:10] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write(path, values(), mask=mask)


KINDS = [
    one_bit, white_is_least, white_is_least_of_many, packed_bits, transparent_palette, clear_colour,
    palette_without_data, palette_without_zero, associated_alpha, half_floats,
    nodata_beyond_the_type, hidden_by_a_mask_inside,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_windows_hold_what_pictures_do(tmp_path, kind):
    path = kind(tmp_path / "in.tif") or tmp_path / "in.tif"
    picture, window = read_picture(path), read(path)
    assert torch.equal(window.values, picture.values)
    assert window.dtype == picture.dtype or kind is half_floats
    if picture.missing is None:
        assert window.missing is None
    else:
        assert torch.equal(window.missing, picture.missing)


def test_a_mask_file_beside_hides_pixels_but_no_band_that_is_asked_for(tmp_path):
    mask = np.full((H, W), 255, "uint8")
    mask[:10] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write(tmp_path / "in.tif", values(), mask=mask)
    assert (tmp_path / "in.tif.msk").exists()
    assert np.array_equal(read(path).missing.numpy(), mask == 0)
    clear = values(4)
    clear[3, :5] = 0
    path = write(tmp_path / "clear.tif", clear, photometric="rgb", alpha="yes")
    assert read(path, bands=[0, 3], channels=2).missing is None


def vrt(path, bands):
    parts = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}">'
        + (f"<NoDataValue>{nodata}</NoDataValue>" if nodata is not None else "")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (kind, nodata, name) in enumerate(bands, start=1)
    )
    path.write_text(f'<VRTDataset rasterXSize="{W}" rasterYSize="{H}">{parts}</VRTDataset>')
    return path


def test_bands_may_be_of_several_types_and_lack_data_by_values_of_their_own(tmp_path):
    whole, real = values(1), values(1, "float32") + np.float32(0.5)
    write(tmp_path / "whole.tif", whole)
    write(tmp_path / "real.tif", real)
    mixed = vrt(tmp_path / "in.vrt", [("Byte", 7, "whole.tif"), ("Float32", 9.5, "real.tif")])
    found = read(mixed)
    assert found.values.dtype == torch.float32
    assert np.array_equal(found.values[1].numpy(), real[0])
    assert np.array_equal(found.missing.numpy(), (whole[0] == 7) | (real[0] == 9.5))
    only = read(mixed, bands=[1], channels=1)
    assert np.array_equal(only.missing.numpy(), real[0] == 9.5)


def test_bits_in_a_larger_type_are_spread_over_it(tmp_path):
    numbers = values(dtype="uint16", highest=4095)
    found = read(write(tmp_path / "in.tif", numbers, nbits=12))
    assert found.dtype == "uint16"
    assert np.array_equal(found.values.numpy(), numbers.astype(np.uint32) * 65535 // 4095)


def turned(path):
    tag = (274, "H", 1, 6, True)
    tifffile.imwrite(path, np.moveaxis(values(), 0, 2), photometric="rgb", extratags=[tag])


def turned_photograph(path):
    marks = Image.Exif()
    marks[0x112] = 6
    Image.fromarray(np.moveaxis(values(), 0, 2).copy()).save(path, "JPEG", exif=marks)


def pages(path):
    tifffile.imwrite(path, values(), photometric="minisblack")


def complex_numbers(path):
    write(path, values(dtype="complex64"))


REFUSED = [
    (turned, "shown turned"), (turned_photograph, "shown turned"), (pages, "holds 3 pages"),
    (complex_numbers, "not whole or real numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "told"), REFUSED, ids=[kind.__name__ for kind, _ in REFUSED])
def test_what_would_be_read_wrong_is_refused(tmp_path, kind, told):
    kind(tmp_path / "in.tif")
    with pytest.raises(InputError, match=told):
        RasterSource(tmp_path / "in.tif")


@pytest.mark.parametrize("driver", ["JPEG", "PNG"])
def test_nothing_below_a_break_is_taken_for_data(tmp_path, driver):
    write(tmp_path / "in.tif", values(height=400, width=300))
    path = tmp_path / "in.picture"
    copy(tmp_path / "in.tif", path, driver=driver)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        RasterSource(path).read(0, 0, 400, 300)
    source = RasterSource(path, broken="nodata")
    parts = [source.read(top, 0, 100, 300).missing for top in (300, 0, 100, 200)]
    ((top, left, height, width),) = source.lost
    assert (left, width, top + height) == (0, 300, 400)
    assert top <= 220
    gone = torch.cat([torch.zeros(100, 300) if m is None else m.float() for m in parts[1:]])
    assert parts[0].all()
    assert torch.equal(gone[:300], (torch.arange(300) >= top).float()[:, None].expand(300, 300))


def test_a_vrt_without_one_of_its_files_is_told(tmp_path):
    write(tmp_path / "b.tif", values(1))
    path = vrt(tmp_path / "in.vrt", [("Byte", None, "b.tif")])
    (tmp_path / "b.tif").unlink()
    with pytest.raises(InputError, match=r"b\.tif: No such file"):
        RasterSource(path)


def test_rasters_in_archives_are_read(tmp_path):
    path = write(tmp_path / "in.tif", values())
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as file:
        file.write(path, "in.tif")
    found = read(f"/vsizip/{tmp_path / 'in.zip'}/in.tif")
    assert np.array_equal(found.values.numpy(), values())


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
def test_a_raster_may_be_a_point_or_a_line(tmp_path, shape):
    torch.manual_seed(0)
    network = create_model("fcn", "test_resnet", num_classes=3).eval()
    path = write(tmp_path / "in.tif", values(height=shape[0], width=shape[1]))
    pixelwise.predict.raster(network, path, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.shape == shape
        assert file.read(1).max() < 3


def test_the_cache_is_small_but_holds_a_row_of_windows_of_strips(tmp_path):
    with rasterio.Env():
        before = get_gdal_config("GDAL_CACHEMAX")
    with limited_cache():
        assert get_gdal_config("GDAL_CACHEMAX") == CACHE * MEGABYTE
    with rasterio.Env():
        assert get_gdal_config("GDAL_CACHEMAX") == before
    zeros = np.zeros((1, 600, 40_000), "uint8")
    strips = write(tmp_path / "strips.tif", zeros, compress="deflate")
    tiles = write(tmp_path / "tiles.tif", zeros, compress="deflate", tiled=True)
    with rasterio.open(strips) as file:
        assert cache_for(file, 512) >= CACHE + 512 * 40_000 // MEGABYTE
    with rasterio.open(tiles) as file:
        assert cache_for(file, 512) == CACHE
