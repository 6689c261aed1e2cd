"""Pictures, files of label tools, and the masks that are read from them."""

import json

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError


@pytest.fixture
def write(tmp_path):
    """Write a picture (by its suffix), a JSON, or text."""

    def write_one(name, content=None, size=(6, 8), exif=None):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in {".jpg", ".png"}:
            image = Image.fromarray(np.full((*size, 3), 90, np.uint8))
            image.save(file, **({"exif": exif} if exif else {}))
        elif file.suffix == ".json":
            file.write_text(json.dumps(content), encoding="utf-8")
        else:
            file.write_text(content, encoding="utf-8")
        return file

    return write_one


@pytest.fixture
def masks(tmp_path):
    """Open a data.yaml and read the masks of a split, by the name of the picture."""

    def read(yaml, split="train"):
        (tmp_path / "data.yaml").write_text(yaml, encoding="utf-8")
        pictures = open_data(tmp_path).split(split)
        samples = [pictures[i] for i in range(len(pictures))]
        names = [file.name for file, _ in pictures.placed]
        return {name: s.mask.tolist() for name, s in zip(names, samples, strict=True)}

    return read


@pytest.fixture
def refused(masks):
    """The one line about a data.yaml that cannot be read."""

    def read(yaml, split="train"):
        with pytest.raises(InputError) as caught:
            masks(yaml, split)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return read
