"""Numbers as masks: TIFF, PNG and NPY files, what is known in them, and what is refused."""

import shutil

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

HEAD = "train: train/images\nmasks_dir: depth\n"
DEPTH = "values: {depth: {scale: 0.001, offset: 1, unit: m}}\nvalues_nodata: 0\n"
RAW = np.arange(1, 193, dtype=np.uint16).reshape(12, 16) * 50


def folder(base, save, *, count=1, text=DEPTH):
    """A data set whose masks `save` writes, given a path without suffix and a number."""
    for kind in ("images", "depth"):
        (base / "train" / kind).mkdir(parents=True)
    for i in range(count):
        values = np.random.default_rng(i).integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(values).save(base / "train" / "images" / f"p{i}.png")
        save(base / "train" / "depth" / f"p{i}", i)
    (base / "data.yaml").write_text(HEAD + text)
    return base


def as_png(raw):
    return lambda path, i: Image.fromarray(raw).save(path.with_suffix(".png"))


def as_tiff(raw, **options):
    return lambda path, i: tifffile.imwrite(path.with_suffix(".tif"), raw, **options)


def as_npy(raw):
    return lambda path, i: np.save(path.with_suffix(".npy"), raw, allow_pickle=True)


@pytest.mark.parametrize("save", [as_png(RAW), as_tiff(RAW), as_tiff(RAW * 1.0), as_npy(RAW)])
def test_every_format_gives_the_same_values(tmp_path, save):
    source = open_data(folder(tmp_path, save))
    assert (source.kind, source.classes.names, source.bands) == ("values", ("depth",), 3)
    assert source.contents == "values of depth in m"
    mask = source.split("train")[0].mask
    assert mask.dtype == torch.float32
    wanted = torch.from_numpy(RAW * 0.001 + 1).float()[None]
    assert torch.equal(mask, wanted)


def test_bands_are_the_last_axis_of_an_array_and_each_has_its_own_gaps(tmp_path):
    pair = np.stack([RAW * 1.0, RAW * -1.0], axis=2)
    pair[0, 0, 0], pair[0, 1, 1], pair[0, 2] = np.nan, np.inf, -7
    text = "values: {depth: {scale: 2}, height: }\nvalues_nodata: -7\n"
    mask = open_data(folder(tmp_path, as_npy(pair), text=text)).split("train")[0].mask
    assert mask.shape == (2, 12, 16)
    unknown = mask.isnan().nonzero().tolist()
    assert unknown == [[0, 0, 0], [0, 0, 2], [1, 0, 1], [1, 0, 2]]
    assert mask[0, 5, 5] == 2 * RAW[5, 5]
    assert mask[1, 5, 5] == -int(RAW[5, 5])


def test_the_nodata_value_of_a_file_is_unknown(tmp_path):
    raw = RAW.astype(np.float32)
    raw[3, 4] = -9999
    save = as_tiff(raw, extratags=[(42113, 2, 0, "-9999", True)])
    split = open_data(folder(tmp_path, save, text="values: [depth]\n")).split("train")
    assert split[0].mask.isnan().nonzero().tolist() == [[0, 3, 4]]
    split.check()


def test_nothing_is_known_where_the_picture_has_no_data(tmp_path):
    base = folder(tmp_path, as_tiff(RAW), text=DEPTH + "nodata: -1\n")
    picture = np.random.default_rng(0).random((3, 12, 16), np.float32)
    picture[:, 2, 3] = -1
    (base / "train" / "images" / "p0.png").unlink()
    tifffile.imwrite(base / "train" / "images" / "p0.tif", picture, photometric="minisblack")
    sample = open_data(base).split("train")[0]
    assert sample.mask.isnan().nonzero().tolist() == [[0, 2, 3]]


def test_checking_tells_the_range_and_the_share_that_is_unknown(tmp_path):
    raw = RAW.copy()
    raw[:6] = 0
    found = open_data(folder(tmp_path, as_png(raw), count=3)).split("train").check()
    assert found.counts == (3 * 96,)
    (line,) = found.lines(("depth",))
    known = RAW[6:] * 0.001 + 1
    assert f"from {known.min():.4g} to {known.max():.4g} m, mean {known.mean():.4g}" in line
    assert "unknown 50 %" in line


def test_zeros_apart_from_all_others_are_told(tmp_path):
    raw = RAW + 5000
    raw[0, :3] = 0
    text = "values: {depth: {scale: 0.001, unit: m}}\n"
    found = open_data(folder(tmp_path, as_png(raw), text=text)).split("train").check()
    assert "write values_nodata: 0 into data.yaml" in found.lines(("depth",))[-1]


@pytest.mark.parametrize(
    ("save", "text", "told"),
    [
        (as_tiff(np.where(RAW > 60, RAW, -9999.0)), "values: [depth]", "values_nodata: -9999"),
        (as_tiff(np.where(RAW > 60, RAW, -3e38)), "values: [depth]", "values_nodata: -3e+38"),
        (as_tiff(RAW * np.nan), "values: [depth]", "depth is known at no pixel"),
        (as_png(RAW * 0), DEPTH, "depth is known at no pixel"),
        (as_tiff(RAW[:, :-1]), "values: [depth]", "12 x 15 pixels"),
        (as_tiff(RAW), "values: [depth, height]", "has 1 bands, but values has 2"),
        (as_npy(np.stack([RAW] * 3, 2)), "values: [depth]", "has 3 bands, but values has 1"),
        (as_npy(RAW.astype(object)), "values: [depth]", "cannot be read"),
        (as_npy(RAW[0]), "values: [depth]", "of shape (16,)"),
        (as_tiff(RAW * 1j), "values: [depth]", "complex128"),
    ],
)
def test_masks_that_cannot_be_meant_are_refused(tmp_path, save, text, told):
    split = open_data(folder(tmp_path, save, text=text)).split("train")
    with pytest.raises(InputError) as error:
        split.check()
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("values: depth", "must name the bands"),
        ("values: []", "must name the bands"),
        ("values: [depth, depth]", "must differ"),
        ("values: [true]", "is no name"),
        ("values: {depth: 0.001}", "depth is 0.001"),
        ("values: {depth: {scael: 1}}", "scale"),
        ("values: {depth: {scale: 0}}", "other than 0"),
        ("values: {depth: {offset: low}}", "offset='low'"),
        ("values: {depth: {unit: 1}}", "unit=1"),
        ("values: [depth]\nnames: [a, b]", "names: is for classes"),
        ("values: [depth]\nmap: {0: 0}", "map: is for classes"),
        ("values: [depth]\nvalues_nodata: none", "values_nodata='none'"),
        ("names: [a, b]\nvalues_nodata: 0", "add `values:`"),
    ],
)
def test_wrong_descriptions_are_refused(tmp_path, text, told):
    base = folder(tmp_path, as_png(RAW), text=text + "\n")
    with pytest.raises(InputError) as error:
        open_data(base)
    assert told in str(error.value)
    assert "data.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mask_that_is_not_there_is_told(tmp_path):
    base = folder(tmp_path, as_png(RAW), count=2)
    (base / "train" / "depth" / "p1.png").unlink()
    with pytest.raises(InputError, match=r"p1.png has no mask.*\.npy"):
        open_data(base)


def test_classes_are_not_read_from_arrays(tmp_path):
    base = folder(tmp_path, as_npy(RAW), text="names: [a, b]\n")
    with pytest.raises(InputError, match="has no mask"):
        open_data(base)


def test_a_real_band_keeps_its_values_and_its_gaps(tmp_path, real_data):
    file = real_data("geotiff/sample_geotiff.tif")
    for kind in ("images", "depth"):
        (tmp_path / "train" / kind).mkdir(parents=True)
        shutil.copy(file, tmp_path / "train" / kind)
    (tmp_path / "data.yaml").write_text(HEAD + "values: {brightness: {scale: 0.1}}\n")
    split = open_data(tmp_path).split("train")
    raw = tifffile.imread(file)
    mask = split[0].mask[0].numpy()
    assert np.array_equal(np.isnan(mask), raw == 0)  # as its tag says
    assert np.array_equal(mask[raw > 0], (raw * 0.1).astype(np.float32)[raw > 0])
    assert split.check().counts == (int((raw > 0).sum()),)
