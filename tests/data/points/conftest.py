"""Pictures with points on disk."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_pictures(tmp_path):
    """Write grey pictures of 40 x 30 pixels (width x height) under names relative to a folder."""

    def write(*names):
        for i, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
            Image.fromarray(values).save(path)
        return tmp_path

    return write
