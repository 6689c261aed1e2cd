"""What a run says about its data before the first step, and what its network keeps of it."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.tasks.multiclass import Multiclass
from pixelwise.train.inputs import Data, crop_size, set_statistics
from pixelwise.train.plan import make_plan

SIZE = (12, 16)


@pytest.fixture
def write(tmp_path):
    """A data set of float, uint16 or uint8 TIFFs; `spoil` changes the picture of each."""

    def make(high, dtype="float32", more="", names="[ground, roof]", spoil=lambda image: None):
        rng = np.random.default_rng(0)
        for split in ("train", "val"):
            for i in range(3):
                mask = rng.integers(0, 2, SIZE).astype(np.uint8)
                image = (rng.random((3, *SIZE)) * high).astype(dtype)
                image[:, 0, 0] = high
                spoil(image)
                for kind in ("images", "masks"):
                    (tmp_path / split / kind).mkdir(parents=True, exist_ok=True)
                file = tmp_path / split / "images" / f"p{i}.tif"
                tifffile.imwrite(file, image, photometric="minisblack")
                Image.fromarray(mask).save(tmp_path / split / "masks" / f"p{i}.png")
        text = f"train: train/images\nval: val/images\nnames: {names}\n{more}"
        (tmp_path / "data.yaml").write_text(text)
        return str(tmp_path / "data.yaml")

    return make


def plan(settings, data, say, **changes):
    return make_plan(
        settings(data=data, attention="none", **changes), say, lambda done, total: None
    )


def test_shares_of_classes_and_classes_without_a_pixel(write, settings, silent):
    names = ", ".join(["ground", "roof", *(f"c{i}" for i in range(19))])
    plan(settings, write(255, "uint8", names=f"[{names}]"), silent.say)
    text = "\n".join(silent.lines)
    assert "classes without a pixel: 19 of 21 (c0, c1, " in text
    assert "ground " in text
    assert "roof " in text


def test_pixels_without_data_are_ignored_and_not_in_mean_and_std(write, settings, silent):
    def spoil(image):
        image[:, :4] = -9999
        image[1, 5, 5] = np.nan

    made = plan(settings, write(255, more="nodata: -9999\n", spoil=spoil), silent.say)
    config = made.model.config
    assert any("195 of 576 pixels without data in 3 pictures" in line for line in silent.lines)
    assert all(100 < mean < 155 for mean in config.mean)
    assert config.nodata == (-9999.0,)
    assert config.values[0] >= 0
    image, mask, _, missing = made.val_inputs[0]
    assert missing == 65
    assert (mask[:4] == 255).all()
    assert image[:, :4].abs().max() < 1e-5
    assert torch.isfinite(image).all()
    crops = [made.stream[i] for i in range(20)]
    assert all(torch.isfinite(image).all() for image, _, _ in crops)
    assert all(image.abs().max() < 10 for image, _, _ in crops)


@pytest.mark.parametrize("value", [-9999, -32768, 1e20, -3.4028234663852886e38])
def test_values_that_mean_no_data_are_refused_before_the_first_step(write, settings, silent, value):
    def spoil(image):
        image[:, :2] = value

    with pytest.raises(InputError, match=r"p0\.tif: has values of .* write nodata: "):
        plan(settings, write(3000, spoil=spoil), silent.say)


def test_a_value_far_from_all_others_is_told(write, settings, silent):
    def spoil(image):
        image[:, 0, 1] = 123456

    plan(settings, write(255, spoil=spoil), silent.say)
    assert any("123456 in " in line and "far from all others" in line for line in silent.lines)


def test_12_bits_in_16_are_told(write, settings, silent):
    plan(settings, write(4095, "uint16"), silent.say)
    assert any("if white is 4095, write scale: 4095" in line for line in silent.lines)


def test_val_of_another_range_is_refused(write, settings, silent, tmp_path):
    data = write(255)
    for file in (tmp_path / "val/images").iterdir():
        tifffile.imwrite(file, tifffile.imread(file) / 255, photometric="minisblack")
    with pytest.raises(InputError, match=r"'val' of .* values up to 1"):
        plan(settings, data, silent.say)


def test_type_and_range_are_kept_with_the_network(write, settings, silent, tmp_path):
    config = plan(settings, write(255), silent.say).model.config
    assert (config.dtype, config.values) == ("float32", (pytest.approx(0, abs=2), 255, 255))
    config.save(tmp_path / "config.json")
    assert ModelConfig.load(tmp_path / "config.json") == config


def test_pretrained_weights_want_to_know_white(write, settings, silent):
    source = open_data(write(255))
    data = Data(source, Multiclass, source.split("train"), source.split("val"))
    made = plan(settings, write(255), silent.say)
    with pytest.raises(InputError, match=r"values up to 255 where white is 1, .* `scale:`"):
        set_statistics(settings(pretrained=True), data, made.model, data.train.check())


def test_the_automatic_crop_is_of_all_pictures(write, settings, tmp_path):
    data = write(255)
    image = np.zeros((3, 1, 1), np.float32)
    tifffile.imwrite(tmp_path / "train/images/a.tif", image, photometric="minisblack")
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(tmp_path / "train/masks/a.png")
    source = open_data(data)
    opened = Data(source, Multiclass, source.split("train"), source.split("val"))
    assert crop_size(settings(crop="auto"), opened) == SIZE


def test_a_config_with_other_things_in_its_range_is_refused():
    with pytest.raises(InputError, match="values="):
        ModelConfig("fcn", "test_resnet", 2, values=(1.0,))
