"""A user's own function, and albumentations, in a stream."""

import pickle
import textwrap

import numpy as np
import pytest
import torch
from coloured_pictures import Coloured, stream
from torch.utils.data import DataLoader

from pixelwise.data.augmenting.chosen import Kinds
from pixelwise.data.augmenting.own import Own, load
from pixelwise.errors import InputError

GOOD = """
def vary(image, mask, rng):
    if rng.uniform() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return image, mask
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="eigene Datei.py"):
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
        return f"{tmp_path / name}:vary"

    return write


@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_pictures_and_masks_come_and_go(written, kind, dtype):
    pictures = Coloured(kind=kind, dtype=dtype, bands=4)
    seen = []

    def look(image, mask, rng):
        seen.append((image, mask))
        return image, mask

    plain, read = stream(pictures), stream(pictures, own=Own(look))
    mirrored = stream(pictures, f"own={written(GOOD)}")
    flips = 0
    for g in range(12):
        torch.testing.assert_close(read[g][0], plain[g][0], rtol=0, atol=1e-5)
        torch.testing.assert_close(read[g][1], plain[g][1], equal_nan=True)
        flips += not torch.allclose(mirrored[g][0], plain[g][0], atol=1e-5)
    assert 0 < flips < 12
    image, mask = seen[0]
    assert image.shape == (48, 40, 4)
    assert image.dtype == (np.uint8 if dtype == torch.uint8 else np.float32)
    assert mask.shape == {"classes": (48, 40), "labels": (48, 40, 3), "values": (48, 40, 2)}[kind]


def test_the_same_with_workers(written):
    def read(workers):
        loader = DataLoader(
            stream(augment=f"own={written(GOOD)}, turn=10"), 2, sampler=range(8),
            num_workers=workers,
        )  # fmt: skip
        return [image for image, _, _ in loader]

    assert all(map(torch.equal, read(0), read(2)))


def test_what_was_loaded_does_not_travel(written):
    own = Own(written(GOOD))
    image, mask = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.int64)
    own(image, mask, np.random.default_rng(0), (1, 255))
    assert pickle.loads(pickle.dumps(own)).call == own.call


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return image", "gives ndarray; must give two arrays"),
        ("return None", "gives NoneType; must give two arrays"),
        ("return image[1:], mask", r"gives as image uint8 \(47, 40, 3\) for uint8 \(48, 40, 3\)"),
        ("return image / 255, mask", "gives as image float64"),
        ("return image, mask.astype('uint8')", "gives as mask uint8"),
        ("return image, mask + 9", "gives a mask with .*; must be 0 to 4, or 255"),
        ("return image, mask - 1", "gives a mask with -1; must be"),
        ("return image, 3", "gives as mask int for int64"),
        ("raise KeyError('x')", "fails with KeyError: 'x'; correct the function"),
        ("return image @ mask", "fails with ValueError"),
    ],
)
def test_what_comes_back_is_checked(written, body, message):
    read = stream(Coloured(), f"own={written(f'def vary(image, mask, rng): {body}')}")
    with pytest.raises(InputError, match=message) as told:
        read[0]
    assert "eigene Datei.py:vary" in str(told.value)
    assert "\n" not in str(told.value)


def test_values_that_are_not_finite(written):
    text = "def vary(image, mask, rng): return image * float('nan'), mask"
    read = stream(Coloured(dtype=torch.float32), f"own={written(text)}")
    with pytest.raises(InputError, match="an image with NaN or infinity; keep it finite"):
        read[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def vary(:", "cannot be run .SyntaxError"),
        ("import nowhere_at_all", "cannot be run .ModuleNotFoundError"),
        ("raise SystemExit", "cannot be run .SystemExit"),
        ("def varry(image, mask, rng): pass", "has no function vary; did you mean 'varry'"),
        ("vary = 3", "has no function vary; check its spelling"),
    ],
)
def test_files_that_cannot_be_run(written, text, message):
    with pytest.raises(InputError, match=message):
        load(written(text))


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match=r"there is no file nowhere.py; check the path"):
        load("nowhere.py:vary")


def test_other_random_numbers_are_found_out(written):
    text = """
    import random
    def vary(image, mask, rng):
        return image + 0 if random.random() < 0 else image + random.randrange(99), mask
    """
    spec = written(text.replace("image + random", "image // 2 + random").replace("\n    ", "\n"))
    read = stream(Coloured(), f"own={spec}")
    with pytest.raises(InputError, match="another result for the same random numbers"):
        read.augmentation.kinds.try_out(read)
    good = stream(Coloured(), f"own={written(GOOD, 'good.py')}")
    good.augmentation.kinds.try_out(good)
    Kinds({}).try_out(good)


COMPOSED = """
import albumentations as A
vary = A.Compose([A.HorizontalFlip(p=0.5), A.Rotate(limit=30, p=1, fill_mask=255),
                  A.GaussNoise(p=1), A.RandomBrightnessContrast(p=0.5)])
"""


@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.filterwarnings("ignore")
def test_albumentations(written, kind, dtype):
    pytest.importorskip("albumentations")

    def read(workers, begin=0):
        scaled = Coloured(kind=kind, dtype=dtype)
        loader = DataLoader(
            stream(scaled, f"own={written(COMPOSED)}"), 2, sampler=range(begin, 8),
            num_workers=workers,
        )  # fmt: skip
        return [(image, torch.nan_to_num(mask, nan=-9)) for image, mask, _ in loader]

    alone = read(0)
    for one, other in zip(alone, read(2), strict=True):
        assert all(map(torch.equal, one, other))
    for one, other in zip(alone[2:], read(1, 4), strict=True):
        assert all(map(torch.equal, one, other))
    plain = stream(Coloured(kind=kind, dtype=dtype))
    assert any(not torch.equal(one[0][0], plain[2 * i][0]) for i, one in enumerate(alone))
