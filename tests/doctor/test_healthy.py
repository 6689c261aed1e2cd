"""Healthy sets are never accused."""

import shutil
import tempfile
from pathlib import Path

import pytest
from healthy_sets import HEALTHY
from PIL import Image
from whole_sets import whole

from pixelwise.doctor.examine import examine


def accusations(folder, **options):
    return [f.line for f in examine(folder, **options).findings if f.severity != "note"]


def test_whole(tmp_path):
    assert accusations(whole(tmp_path)) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_variant(name, tmp_path):
    HEALTHY[name](whole(tmp_path))
    assert accusations(tmp_path) == []


def part_of(source, folder, step):
    """Every `step`-th picture of a real set, as PNG."""
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for file in sorted((source / split / "images").iterdir())[::step]:
            Image.open(file).save(folder / split / "images" / f"{file.stem}.png")
            name = f"{split}/masks/{file.stem}.png"
            shutil.copy(source / name, folder / name)
    shutil.copy(source / "classes.csv", folder / "classes.csv")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camvid", "kampala_buildings"])
def test_real_data(name, real_data):
    assert accusations(real_data(name), workers=2) == []


@pytest.mark.slow
@pytest.mark.parametrize("change", HEALTHY)
@pytest.mark.parametrize("name", ["camvid", "kampala_buildings"])
def test_variant_of_real_data(name, change, real_data, tmp_path):
    part_of(real_data(name), tmp_path, 9 if name == "camvid" else 4)
    HEALTHY[change](tmp_path)
    assert accusations(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camvid", "kampala_buildings"])
def test_moved_and_mirrored_real_data(name, real_data):
    """What is accused there is really so."""
    for change, key in (
        (lambda m: m.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mask-mirrored"),
        (lambda m: m.transform(m.size, Image.Transform.AFFINE, (1, 0, 6, 0, 1, 4)), "mask-moved"),
    ):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            part_of(real_data(name), folder, 9 if name == "camvid" else 3)
            for file in folder.glob("*/masks/*"):
                mask = change(Image.open(file))
                mask.save(file)
            assert key in [f.key for f in examine(folder).findings]
