"""Whatever a file holds, reading it is right or one line: mutated pictures, masks and data.yaml."""

import io

import numpy as np
import pytest
import tifffile
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.reading import read_header, read_mask, read_picture
from pixelwise.data.stream import TrainingStream
from pixelwise.errors import InputError

pytestmark = pytest.mark.slow
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (24, 32, 3), np.uint8)
STILL = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def fuzzed(cases):
    return settings(
        max_examples=cases,
        derandomize=True,
        deadline=None,
        suppress_health_check=STILL,
        phases=[Phase.generate],
    )


def encoded(kind, **options):
    buffer = io.BytesIO()
    mode = options.pop("mode", "RGB")
    Image.fromarray(COLOUR).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


FILES = {
    "png": encoded("PNG"),
    "grey.png": encoded("PNG", mode="L"),
    "palette.png": encoded("PNG", mode="P"),
    "alpha.png": encoded("PNG", mode="RGBA"),
    "one.png": encoded("PNG", mode="1"),
    "jpg": encoded("JPEG"),
    "cmyk.jpg": encoded("JPEG", mode="CMYK"),
    "webp": encoded("WEBP", lossless=True),
    "gif": encoded("GIF"),
    "bmp": encoded("BMP"),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
    "jpeg.tif": encoded("TIFF", compression="jpeg"),
    "zstd.tif": encoded("TIFF", compression="zstd", mode="L"),
    "palette.tif": encoded("TIFF", mode="P"),
    "float.tif": tiff(COLOUR.astype(np.float32)[..., 0]),
    "deflate.tif": tiff(COLOUR.astype(np.uint16), photometric="rgb", compression="zlib"),
    "tiled.tif": tiff(COLOUR, photometric="rgb", tile=(16, 16), bigtiff=True),
    "pages.tif": tiff(np.moveaxis(COLOUR, 2, 0), photometric="minisblack"),
    "planes.tif": tiff(np.moveaxis(COLOUR, 2, 0), photometric="rgb", planarconfig="separate"),
}


@st.composite
def spoilt(draw):
    """The bytes of a picture, some of them flipped, cut off, doubled or left out."""
    whole = bytearray(FILES[draw(st.sampled_from(sorted(FILES)))])
    near = draw(st.sampled_from([64, 400, len(whole)]))  # headers matter most
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, min(near, len(whole)) - 1)))
        match draw(st.sampled_from(["byte", "byte", "bit", "cut", "out", "twice", "end"])):
            case "byte" if whole:
                whole[at] = draw(st.integers(0, 255))
            case "bit" if whole:
                whole[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del whole[draw(st.integers(0, len(whole))) :]
            case "out":
                del whole[at : at + draw(st.integers(1, 9))]
            case "twice":
                whole[at:at] = whole[at : at + draw(st.integers(1, 9))]
            case "end" if len(whole) > 40:  # directories of TIFFs stand at the end
                whole[-draw(st.integers(1, 40))] = draw(st.integers(0, 255))
    return bytes(whole)


def outcome(read, counts):
    """The result, or None for an InputError of one line; anything else is a fault."""
    counts["cases"] += 1
    try:
        return read()
    except InputError as error:
        told = str(error)
    assert "\n" not in told
    counts["errors"] += 1
    return None


@pytest.fixture(scope="module")
def counts():
    found = {"cases": 0, "errors": 0}
    yield found
    print(f"\nfuzz: {found['cases']} cases, {found['errors']} InputErrors, 0 of anything else")


@fuzzed(1500)
@given(content=spoilt(), suffix=st.sampled_from(["png", "tif", "jpg"]))
def test_spoilt_bytes(tmp_path, counts, content, suffix):
    file = tmp_path / f"a.{suffix}"
    file.write_bytes(content)
    header = outcome(lambda: read_header(file), counts)
    picture = outcome(lambda: read_picture(file), counts)
    mask = outcome(lambda: read_mask(file), counts)
    if header is not None and picture is not None:
        assert picture.values.shape == (header.bands, header.height, header.width)
        assert picture.dtype == header.dtype
    if picture is not None and picture.missing is not None:
        assert picture.missing.shape == picture.values.shape[1:]
    assert mask is None or mask.ndim == 2 or mask.shape[2] == 3


DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32",
          "float64", "complex64"]  # fmt: skip


@fuzzed(400)
@given(
    dtype=st.sampled_from(DTYPES),
    axes=st.permutations("CYX"),
    band=st.sampled_from("CZTQI"),
    bands=st.integers(1, 5),
    nodata=st.sampled_from([None, "-9999", "nan", "0", "7", "1e40", "junk"]),
    compression=st.sampled_from([None, "zlib", "lzma"]),
    big=st.booleans(),
    order=st.sampled_from("<>"),
)
def test_any_order_of_axes_and_any_type(
    tmp_path, counts, dtype, axes, band, bands, nodata, compression, big, order
):
    values = np.random.default_rng(bands).integers(0, 100, (bands, 6, 9)).astype(dtype)
    stored = values.transpose(["CYX".index(axis) for axis in axes])
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="minisblack",
        metadata={"axes": "".join(axes).replace("C", band)},
        compression=compression,
        bigtiff=big,
        byteorder=order,
        extratags=[] if nodata is None else [(42113, "s", 0, nodata, True)],
    )
    picture = outcome(lambda: read_picture(tmp_path / "a.tif"), counts)
    if dtype == "complex64" or nodata == "junk":
        assert picture is None
        return
    assert picture is not None
    read = picture.values.numpy().astype(np.float64)
    assert (read == values.astype(np.float64) * (255 if dtype == "bool" else 1)).all()
    hidden = np.zeros((6, 9), bool)
    if nodata in {"0", "7"}:
        same = read == float(nodata)
        colour = dtype in {"bool", "uint8", "uint16", "uint32"} and nodata == "0"
        hidden = same.all(0) if colour else same.any(0)
    assert (hidden if picture.missing is None else picture.missing.numpy() == hidden).all() or (
        picture.missing is None and not hidden.any()
    )


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70000), st.floats(), st.text(max_size=6),
    st.lists(st.one_of(st.integers(-2, 5), st.text(max_size=4), st.none()), max_size=4),
    st.dictionaries(
        st.one_of(st.integers(-1, 4), st.booleans(), st.text(max_size=7)),
        st.one_of(st.integers(-1, 3), st.just("ignore"), st.text(max_size=5), st.none()),
        max_size=4,
    ),
)  # fmt: skip
KEYS = ["path", "train", "val", "test", "names", "masks_dir", "masks", "map", "palette", "bands",
        "scale", "nodata", "ignore_index", "max_megapixels", "layout", "name"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(COLOUR).save(folder / split / "images" / f"p{i}.png")
            ids = RNG.integers(0, 3, COLOUR.shape[:2]).astype(np.uint8)
            Image.fromarray(ids).save(folder / split / "masks" / f"p{i}.png")
    return folder


@fuzzed(800)
@given(
    changes=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3),
    gone=st.lists(st.sampled_from(["train", "val", "names"]), max_size=1),
)
def test_a_data_yaml_with_keys_dropped_and_retyped(data, counts, changes, gone):
    content = {"train": "train/images", "val": "val/images", "names": ["a", "b", "c"]} | changes
    for key in gone:
        content.pop(key, None)
    file = data / "data.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def use():
        source = open_data(file)
        pictures = source.split(source.splits[0])
        found = pictures.check()
        found.lines(source.classes.names)
        mean, std = measure_statistics(pictures)
        stream = TrainingStream(pictures, (8, 8), 0, mean=mean, std=std, scale=source.scale)
        return stream[0]

    item = outcome(use, counts)
    assert item is None or torch.isfinite(item[0]).all()


@fuzzed(400)
@given(
    text=st.text(max_size=30),
    at=st.integers(0, 60),
    cut=st.booleans(),
)
def test_a_data_yaml_with_other_text_in_it(data, counts, text, at, cut):
    whole = "train: train/images\nval: val/images\nnames: {0: a, 1: b, 2: c}\n"
    file = data / "data.yaml"
    content = whole[:at] + text + ("" if cut else whole[at:])
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    outcome(lambda: open_data(file).split("train").check(), counts)
