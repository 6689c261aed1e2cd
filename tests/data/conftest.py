"""Small data sets on disk."""

import numpy as np
import pytest
from PIL import Image

YAML = "train: train/images\nval: val/images\nnames: {0: ground, 1: roof, 2: tree}\n"


@pytest.fixture
def write_data(tmp_path):
    """Write a data.yaml with `count` pictures per split; the masks hold random `values`."""

    def write(*, more="", count=3, size=(12, 16), values=(0, 1, 2, 255)):
        rng = np.random.default_rng(0)
        for split in ("train", "val"):
            for kind in ("images", "masks"):
                (tmp_path / split / kind).mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 256, (*size, 3), np.uint8)
                Image.fromarray(picture).save(tmp_path / split / "images" / f"p{i}.png")
                mask = rng.choice(np.array(values, np.uint8), size)
                Image.fromarray(mask).save(tmp_path / split / "masks" / f"p{i}.png")
        (tmp_path / "data.yaml").write_text(YAML + more)
        return tmp_path

    return write
