"""`pixelwise check-data --augmented`: one picture of what augmentations do."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.data.landscape import draw
from pixelwise.train.augmented import augmented_sheet


@pytest.fixture
def six_bands(tmp_path):
    """A data set of float pictures with six bands, smaller than any crop; Chinese names."""
    for number, split in enumerate(("train", "val")):
        for kind in ("images", "masks"):
            (tmp_path / "图" / split / kind).mkdir(parents=True)
        for i in range(4):
            picture, mask = draw(5, number, i, 64)
            bands = np.concatenate([picture, picture], axis=2).astype(np.float32) / 100
            bands[:5, :9] = np.nan
            tifffile.imwrite(
                tmp_path / "图" / split / "images" / f"{i}.tif",
                bands[:40, :30].transpose(2, 0, 1).copy(),
                photometric="minisblack",
                planarconfig="separate",
            )
            Image.fromarray((mask == 0).astype(np.uint8)[:40, :30]).save(
                tmp_path / "图" / split / "masks" / f"{i}.png"
            )
    (tmp_path / "图" / "data.yaml").write_text(
        "train: train/images\nval: val/images\nnames: [其他, 地面]\n", encoding="utf-8"
    )
    return tmp_path / "图"


def test_writes_one_picture_beside_the_page(six_bands, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["check-data", str(six_bands), "--workers", "0", "--out", str(out)]
    assert main([*words, "--augmented", "--augment", "turn=20, mosaic=0.5"]) == 0
    assert f"augmented: {out / 'augmented.png'}" in capsys.readouterr().out
    with Image.open(out / "augmented.png") as sheet:
        assert sheet.width > 1000
    assert (out / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("data", ["scenes", "depth-scenes", "overlapping-scenes", "puppets"])
def test_every_kind_of_data(data):
    sheet = augmented_sheet(f"{data}:size=64,train=3,val=1", None)
    assert sheet.dtype == np.uint8
    assert sheet.std() > 20


@pytest.mark.slow
def test_many_bands_leave_out_what_does_not_suit(six_bands):
    assert len(augmented_sheet(str(six_bands), None)) > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--augmented", "--augment", "trun=1"], "did you mean 'turn'"),
        (["--augment", "turn=1"], "is drawn by --augmented; add it"),
        (["--augmented", "--augment", "jpeg=1"], "jpeg is for 8-bit pictures of 1 or 3 bands"),
    ],
)
def test_refusals(six_bands, tmp_path, capsys, words, message):
    out = ["--workers", "0", "--out", str(tmp_path / "out")]
    assert main(["check-data", str(six_bands), *out, *words]) == 2
    assert message in capsys.readouterr().err


def test_waits_until_training_may_start(six_bands, tmp_path, capsys):
    (six_bands / "train" / "images" / "0.tif").write_bytes(b"")
    out = ["--workers", "0", "--out", str(tmp_path / "out"), "--augmented"]
    assert main(["check-data", str(six_bands), *out]) == 1
    assert "has to wait until training may start" in capsys.readouterr().out
    assert not (tmp_path / "out" / "augmented.png").exists()
