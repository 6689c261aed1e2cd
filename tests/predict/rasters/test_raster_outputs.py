import pytest

pytest.importorskip("rasterio", reason="rasters need rasterio")
import errno
import os
import zipfile

import numpy as np
import rasterio
import torch
from rasterio.shutil import copy

import pixelwise.predict
from pixelwise import create_model
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.predict.rasters import geotiff

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("fcn", "test_resnet", num_classes=3).eval()


def write(path, height=200, width=90, **about):
    numbers = np.random.default_rng(0).integers(0, 256, (3, height, width)).astype("uint8")
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=height, width=width, dtype="uint8", **about
    ) as file:
        file.write(numbers)
    return path


def stopped(network, source, out, after=7, **about):
    """A run that is interrupted after so many groups of windows."""

    def stop(what, done, total):
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pixelwise.predict.raster(network, source, out, window=48, progress=stop, **about)


def gone_on(network, source, out, window=48, **about):
    """What is said of the run before."""
    said = []
    pixelwise.predict.raster(network, source, out, window=window, say=said.append, **about)
    return said


def test_it_is_said_that_a_run_goes_on_or_why_not(network, tmp_path):
    source, out = write(tmp_path / "in.tif"), tmp_path / "out.tif"
    assert gone_on(network, source, out) == []
    stopped(network, source, out)
    assert gone_on(network, source, out) == [f"{out}: goes on: 2 of 6 rows of windows are there"]
    stopped(network, source, out)
    (said,) = gone_on(network, source, out, window=64)
    assert said == f"{out}: begins anew, without 2 rows of a run with another window"
    stopped(network, source, out)
    os.utime(source, ns=(1, 1))
    (said,) = gone_on(network, source, out)
    assert said.endswith("with another source")


def linked(tmp_path):
    os.link(tmp_path / "ours.tif", tmp_path / "other.tif")


def linked_softly(tmp_path):
    (tmp_path / "other.tif").symlink_to("ours.tif")


@pytest.mark.parametrize("make", [linked, linked_softly], ids=["hard", "soft"])
def test_the_raster_that_is_read_is_known_by_any_name(network, tmp_path, make):
    pixelwise.predict.raster(network, write(tmp_path / "in.tif", 40), tmp_path / "ours.tif")
    make(tmp_path)
    with pytest.raises(InputError, match="is the raster that is read"):
        pixelwise.predict.raster(network, tmp_path / "ours.tif", tmp_path / "other.tif")


def test_a_part_of_the_raster_that_is_read_stays(network, tmp_path):
    pixelwise.predict.raster(network, write(tmp_path / "in.tif", 40), tmp_path / "ours.tif")
    copy(tmp_path / "ours.tif", tmp_path / "all.vrt", driver="VRT")
    with pytest.raises(InputError, match=r"is read as a part of .*all\.vrt"):
        pixelwise.predict.raster(network, tmp_path / "all.vrt", tmp_path / "ours.tif", as_is=True)


@pytest.mark.parametrize("suffix", [".aux.xml", ".ovr", ".msk"])
def test_what_would_be_taken_for_a_part_of_the_output_stays(network, tmp_path, suffix):
    source, theirs = write(tmp_path / "in.tif", 40), tmp_path / f"out.tif{suffix}"
    theirs.write_text("theirs")
    with pytest.raises(InputError, match="would be taken for a part of"):
        pixelwise.predict.raster(network, source, tmp_path / "out.tif")
    assert theirs.read_text() == "theirs"


def test_names_of_classes_go_with_the_classes(network, tmp_path):
    source, out = write(tmp_path / "in.tif", 40), tmp_path / "out.tif"
    for _ in range(2):
        pixelwise.predict.raster(network, source, out)
        assert "<Category>2</Category>" in (tmp_path / "out.tif.aux.xml").read_text()
    out.unlink()  # as a kill between the two files, or a user, may leave it
    pixelwise.predict.raster(network, source, out)
    pixelwise.predict.raster(network, source, probability=out)
    assert not (tmp_path / "out.tif.aux.xml").exists()


def test_one_file_for_two_outputs_is_refused_by_any_name(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="named twice"):
        pixelwise.predict.raster(
            network, write(tmp_path / "in.tif", 40), "out.tif", probability=tmp_path / "out.tif"
        )


def test_a_full_disk_is_told_and_the_rows_are_kept(network, tmp_path, monkeypatch):
    source, out = write(tmp_path / "in.tif"), tmp_path / "out.tif"
    pixelwise.predict.raster(network, source, tmp_path / "whole.tif", window=48)
    wanted, written = zipfile.ZipFile.writestr, []

    def full(self, *given):
        written.append(given)
        if len(written) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        wanted(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(InputError, match=r"No space left on device.*rows are kept"):
            pixelwise.predict.raster(network, source, out, window=48)
    assert not out.exists()
    assert "goes on" in gone_on(network, source, out)[0]
    assert out.read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_a_file_that_gdal_did_not_write_whole_never_appears(network, tmp_path, monkeypatch):
    def empty(partial, bands):
        with rasterio.open(partial, "r+") as file:
            file.write(np.full((1, 3), 2, "uint8"), 1, window=((9, 10), (0, 3)))

    source, out = write(tmp_path / "in.tif"), tmp_path / "out.tif"
    with monkeypatch.context() as patched:
        patched.setattr(geotiff, "_as_cog", empty)
        with pytest.raises(InputError, match="No space left"):
            pixelwise.predict.raster(network, source, out, window=48, cog=True)
    assert not out.exists()
    assert "goes on: 6 of 6" in gone_on(network, source, out)[0]
    assert out.exists()


def spoilt(path):
    """A raster with a tile in the middle overwritten."""
    write(path, 96, 96, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset : offset + 60] = b"\xff" * 60
    path.write_bytes(content)
    return path


def test_what_an_earlier_run_left_without_data_is_told_by_the_one_that_goes_on(network, tmp_path):
    from pixelwise.predict.rasters.source import RasterSource

    path, out = spoilt(tmp_path / "in.tif"), tmp_path / "out.tif"
    stopped(network, path, out, broken="nodata", as_is=True)
    source = RasterSource(path, broken="nodata")
    (said,) = gone_on(network, source, out, broken="nodata", as_is=True)
    assert "goes on" in said
    assert [*source.lost] == [(32, 32, 32, 32)]
    stopped(network, path, out, broken="nodata", as_is=True)
    with pytest.raises(InputError, match="cannot be read"):
        gone_on(network, path, out, as_is=True)


@pytest.mark.parametrize("task", ["binary", "multilabel", "regression", "keypoints"])
def test_every_task_is_written_or_refused(tmp_path, task):
    torch.manual_seed(0)
    arch = "simple_baseline" if task == "keypoints" else "fcn"
    network = create_model(arch, "test_resnet", num_classes=2 - (task == "binary"), task=task)
    source, out = write(tmp_path / "in.tif", 40), tmp_path / "out.tif"
    if task == "keypoints":
        with pytest.raises(InputError, match="looks at whole pictures"):
            pixelwise.predict.raster(network.eval(), source, out)
        return
    pixelwise.predict.raster(network.eval(), source, out)
    with rasterio.open(out) as file:
        assert file.dtypes[0] == ("float32" if task == "regression" else "uint8")
    for more in ("probability", "uncertainty"):
        about = {more: tmp_path / f"{more}.tif"}
        if task == "regression":
            with pytest.raises(InputError, match="gives no probabilities"):
                pixelwise.predict.raster(network, source, out, **about)
        else:
            pixelwise.predict.raster(network, source, out, **about)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_interruption_says_in_a_line_what_is_kept(network, tmp_path, monkeypatch, capsys):
    from pixelwise.cli.console import Console

    def stop(self, what, done, total):
        raise KeyboardInterrupt

    network.save_pretrained(tmp_path / "net")
    source, out = write(tmp_path / "in.tif"), tmp_path / "结果.TIF"
    monkeypatch.setattr(Console, "busy", stop)
    words = ["predict", str(tmp_path / "net"), str(source), "--out", str(out), "--window", "48"]
    assert main(words) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"interrupted; the finished rows of {out} are kept; give the same command to go on"
    )
    monkeypatch.undo()
    assert main(words) == 0
    assert out.exists()
