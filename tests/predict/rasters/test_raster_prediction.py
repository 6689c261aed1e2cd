import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

import pixelwise.predict
from pixelwise import create_model
from pixelwise.cli.main import main
from pixelwise.data.reading import read_picture
from pixelwise.errors import InputError
from pixelwise.predict.images import predict_answer

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
TURNED = Affine.translation(500000, 20000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("fcn", "test_resnet", num_classes=3).eval()


def values(bands=3, height=90, width=130, dtype="uint8", seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (bands, height, width)).astype(dtype)


def write(path, numbers, **about):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(numbers),
        height=numbers.shape[1],
        width=numbers.shape[2],
        dtype=numbers.dtype,
        **about,
    ) as file:
        file.write(numbers)
    return path


def placed(path, numbers, **about):
    return write(path, numbers, crs="EPSG:32636", transform=TURNED, **about)


def test_it_is_the_answer_to_the_picture_at_its_place_on_earth(network, tmp_path):
    source = placed(tmp_path / "in.tif", values(), tiled=True, blockxsize=16, blockysize=16)
    out = tmp_path / "out.tif"
    assert pixelwise.predict.raster(network, source, out, window=48) is None
    whole = predict_answer(network, read_picture(source).values, window=48)
    with rasterio.open(out) as file:
        assert np.array_equal(file.read(1), whole.numpy())
        assert file.crs.to_epsg() == 32636
        assert file.transform.almost_equals(TURNED)
        assert file.nodata == 255
        assert json.loads(file.tags()["classes"]) == ["0", "1", "2"]
        assert file.colormap(1)[1] == (*network.task.palette[1], 255)
    assert not list(tmp_path.glob(".out*"))


def test_pixels_without_data_have_none_in_all_outputs(network, tmp_path):
    numbers = values()
    numbers[:, 20:70, 30:110] = 0
    source = placed(tmp_path / "in.tif", numbers, nodata=0)
    outs = [tmp_path / f"{name}.tif" for name in ("classes", "shares", "unsure")]
    pixelwise.predict.raster(
        network, source, outs[0], probability=outs[1], uncertainty=outs[2], window=32
    )
    hole = np.zeros(numbers.shape[1:], bool)
    hole[20:70, 30:110] = True
    for out in outs:
        with rasterio.open(out) as file:
            for band in file.read():
                assert np.array_equal(band == file.nodata, hole)
    with rasterio.open(outs[1]) as file:
        sums = file.read()[:, ~hole].astype(int).sum(0)
        assert file.count == 3
        assert np.abs(sums - 10_000).max() <= 2
    with rasterio.open(outs[2]) as file:
        assert 0 <= file.read(1)[~hole].min() <= file.read(1)[~hole].max() <= 10_000


@pytest.mark.parametrize("cog", [False, True])
def test_large_files_have_tiles_and_overviews(network, tmp_path, cog):
    source = write(tmp_path / "in.tif", values(height=700, width=600))
    pixelwise.predict.raster(network, source, tmp_path / "out.tif", window=700, cog=cog)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.block_shapes == [(512, 512)]
        assert file.overviews(1)
        assert file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == ("COG" if cog else None)
        assert file.crs is None


def test_palettes_and_transparency_are_read_as_pictures_are(network, tmp_path):
    indices = values(1) % 4
    table = {0: (9, 80, 200, 255), 1: (255, 0, 0, 255), 2: (3, 2, 1, 255), 3: (90, 90, 9, 255)}
    path = tmp_path / "palette.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=90, width=130, dtype="uint8"
    ) as file:
        file.write_colormap(1, table)
        file.write(indices)
    assert_same(network, path)
    clear = values(4)
    clear[3] = np.where(clear[3] < 128, 0, 255)
    path = write(tmp_path / "clear.tif", clear, photometric="rgb", alpha="yes")
    found = pixelwise.predict.raster(network, path, window=48, as_is=True)
    assert np.array_equal(found[0] == 255, clear[3] == 0)


def assert_same(network, path):
    found = pixelwise.predict.raster(network, path, window=48, as_is=True)
    whole = predict_answer(network, read_picture(path).values, window=48)
    assert np.array_equal(found[0], whole.numpy())


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_any_type_is_read_as_pictures_are(network, tmp_path, dtype):
    assert_same(network, write(tmp_path / "in.tif", values(dtype=dtype)))


def test_nan_is_no_data(network, tmp_path):
    numbers = values(dtype="float32")
    numbers[1, 5:50, 7:40] = np.nan
    found = pixelwise.predict.raster(network, write(tmp_path / "in.tif", numbers), as_is=True)
    assert np.array_equal(found[0] == 255, np.isnan(numbers[1]))


def test_any_function_may_be_the_network(tmp_path):
    class Answer:
        def __init__(self, logits):
            self.logits = logits

    torch.manual_seed(0)
    half = torch.nn.Conv2d(3, 2, 3, stride=2, padding=1)
    numbers = values(height=64, width=64)
    found = pixelwise.predict.raster(
        lambda x: Answer(half(x)), numbers, mean=(1.0, 2.0, 3.0), std=2.0, scale=255.0
    )
    x = (torch.from_numpy(numbers)[None] / 255 - torch.tensor([1.0, 2, 3])[:, None, None]) / 2
    logits = torch.nn.functional.interpolate(half(x), size=(64, 64), mode="bilinear")
    assert np.array_equal(found[0], logits[0].argmax(0).numpy())
    for wrong in (lambda x: (x,), lambda x: x[:, 0], lambda x: {"aux": x}):
        with pytest.raises(InputError, match="must be logits"):
            pixelwise.predict.raster(wrong, numbers)
    with pytest.raises(InputError, match="one name for each"):
        pixelwise.predict.raster(half, numbers, names=["a"])
    with pytest.raises(InputError, match="must be one per band"):
        pixelwise.predict.raster(half, numbers, mean=(1.0, 2.0))


def spoil(path):
    """Overwrite a tile in the middle of a file."""
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset : offset + 60] = b"\xff" * 60
    path.write_bytes(content)


def test_a_broken_block_is_named_or_left_without_data(network, tmp_path):
    source = write(
        tmp_path / "in.tif", values(height=96, width=96), tiled=True, blockxsize=32, blockysize=32,
        compress="deflate",
    )  # fmt: skip
    spoil(source)
    with pytest.raises(InputError, match=r"in\.tif: rows \d+ to \d+.*cannot be read"):
        pixelwise.predict.raster(network, source, window=48)
    out = tmp_path / "out.tif"
    pixelwise.predict.raster(network, source, out, window=48, broken="nodata", as_is=True)
    hole = np.zeros((96, 96), bool)
    hole[32:64, 32:64] = True
    with rasterio.open(out) as file:
        assert np.array_equal(file.read(1) == 255, hole)


REFUSED = [
    ({"sink": "in.tif"}, "is the raster that is read"),
    ({"sink": "theirs.tif"}, "pixelwise did not write it"),
    ({"sink": "none/out.tif"}, "there is no folder"),
    ({"sink": "out.png"}, "must end in .tif"),
    ({"sink": "out.tif", "probability": "out.tif"}, "named twice"),
    ({"sink": "out.tif", "window": 0}, "window=0"),
    ({"sink": "out.tif", "overlap": 0.95}, "overlap=0.95"),
    ({"sink": "out.tif", "broken": "skip"}, "broken='skip'"),
    ({"sink": "out.tif", "source": "words.tif"}, "is no raster"),
    ({"sink": "out.tif", "source": "gone.tif"}, "is no raster"),
    ({"sink": "out.tif", "source": "two.tif"}, "has 2 bands"),
]


@pytest.mark.parametrize(("given", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_does_not_fit_is_told_and_nothing_is_lost(network, tmp_path, monkeypatch, given, told):
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path / "in.tif", values())
    theirs = write(tmp_path / "theirs.tif", values())
    write(tmp_path / "two.tif", values(2))
    (tmp_path / "words.tif").write_text("words")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=told):
        pixelwise.predict.raster(network, **{"source": source, **given})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert theirs.exists()


def test_a_file_of_ours_is_replaced(network, tmp_path):
    source, out = write(tmp_path / "in.tif", values()), tmp_path / "out.tif"
    pixelwise.predict.raster(network, source, out, window=48)
    first = out.read_bytes()
    pixelwise.predict.raster(network, source, out, window=48)
    assert out.read_bytes() == first


def test_a_run_that_fails_goes_on_where_it_stopped_to_the_same_bytes(network, tmp_path):
    source = placed(tmp_path / "in.tif", values(height=200))
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    pixelwise.predict.raster(network, source, whole, window=48)
    seen = []

    def stop(what, done, total):
        seen.append(what)
        if len(seen) == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pixelwise.predict.raster(network, source, cut, window=48, progress=stop)
    assert not cut.exists()
    again = []
    pixelwise.predict.raster(
        network, source, cut, window=48, progress=lambda what, done, total: again.append(done)
    )
    assert again[0] > 1
    assert cut.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob(".cut*"))


def test_a_changed_network_begins_anew(network, tmp_path):
    source, out = write(tmp_path / "in.tif", values(height=200)), tmp_path / "out.tif"

    def stop(what, done, total):
        if done > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pixelwise.predict.raster(network, source, out, window=48, progress=stop)
    torch.manual_seed(1)
    other = create_model("fcn", "test_resnet", num_classes=3).eval()
    pixelwise.predict.raster(other, source, out, window=48)
    with rasterio.open(out) as file:
        found = file.read(1)
    whole = predict_answer(other, read_picture(source).values, window=48)
    assert np.array_equal(found, whole.numpy())


def test_two_at_once_are_told(network, tmp_path):
    source, out = write(tmp_path / "in.tif", values(height=200)), tmp_path / "out.tif"

    def another(what, done, total):
        code = (
            "import sys; from pixelwise.cli.main import main;"
            f"sys.exit(main(['predict', {str(tmp_path / 'net')!r}, {str(source)!r}, '--out',"
            f" {str(out)!r}, '--window', '48']))"
        )
        told.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True))
        raise KeyboardInterrupt

    told: list[subprocess.CompletedProcess[str]] = []
    network.save_pretrained(tmp_path / "net")
    with pytest.raises(KeyboardInterrupt):
        pixelwise.predict.raster(network, source, out, window=48, progress=another)
    assert told[0].returncode == 2
    assert "is at work" in told[0].stderr


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_bytes(network, tmp_path, capsys):
    network.save_pretrained(tmp_path / "net")
    source = placed(tmp_path / "in.tif", values(height=1500, width=700))
    base = ["predict", str(tmp_path / "net"), str(source), "--window", "64", "--quiet"]
    assert main([*base, "--out", str(tmp_path / "whole.tif")]) == 0
    cut = tmp_path / "cut.tif"
    code = f"from pixelwise.cli.main import main; main({[*base, '--out', str(cut)]!r})"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code])
        folder, before = tmp_path / ".cut.tif.unfinished", rows(tmp_path)
        while process.poll() is None and rows(tmp_path) <= before + 1:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert folder.is_dir()
    assert main([*base, "--out", str(cut)]) == 0
    assert cut.read_bytes() == Path(tmp_path / "whole.tif").read_bytes()


def rows(folder):
    return len(list(folder.glob(".cut.tif.unfinished/row_*")))
