import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.data import cache
from pixelwise.data.cache import Kept, keep
from pixelwise.data.cache_size import CacheSize, read_cache
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

GB = 10**9


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five pictures of 30 x 40 with masks; the last has a hole."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(5):
        values = rng.integers(1, 256, (30, 40, 3), np.uint8)
        if i == 4:
            values[:9] = 0
        Image.fromarray(values).save(tmp_path / "set" / "images" / f"{i}.png")
        mask = rng.integers(0, 3, (30, 40), np.uint8)
        mask[:2] = 255
        Image.fromarray(mask).save(tmp_path / "set" / "masks" / f"{i}.png")
    (tmp_path / "set" / "data.yaml").write_text(
        "train: images\nval: images\nmasks_dir: {images: masks}\nnames: [a, b, c]\nnodata: 0\n"
    )
    return tmp_path / "set"


def splits(folder):
    source = open_data(folder / "data.yaml")
    return {"train": source.split("train"), "val": source.split("val")}


def assert_same(found, plain):
    for name, value in vars(plain).items():
        other = getattr(found, name)
        if isinstance(value, torch.Tensor):
            assert other.dtype == value.dtype
            assert torch.equal(other, value)
        else:
            assert other == value


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_samples_are_the_same_the_first_time_and_later(folder, place):
    plain = splits(folder)
    kept, told = keep(plain, CacheSize(place, GB))
    assert "10 of 10 pictures" in told
    for _ in range(2):
        for split, pictures in plain.items():
            for i in range(5):
                assert_same(kept[split][i], pictures[i])
    assert len(kept["train"]) == 5
    assert kept["train"].name == plain["train"].name
    assert kept["train"].check().counts == plain["train"].check().counts


def test_what_is_kept_is_not_decoded_again(folder, monkeypatch):
    plain = splits(folder)
    kept, _ = keep(plain, CacheSize("memory", GB))
    before = [kept["train"][i].image.clone() for i in range(5)]
    monkeypatch.setattr(type(plain["train"]), "__getitem__", None)
    assert all(torch.equal(kept["train"][i].image, image) for i, image in enumerate(before))


def test_what_is_done_to_a_sample_stays_out_of_the_cache(folder):
    kept, _ = keep(splits(folder), CacheSize("memory", GB))
    before = kept["train"][0].image.clone()
    kept["train"][0].image.zero_()
    assert torch.equal(kept["train"][0].image, before)


def test_a_budget_is_kept_and_what_does_not_fit_is_read(folder):
    plain = splits(folder)
    kept, told = keep(plain, CacheSize("disk", 25_000))
    for i in range(5):
        assert_same(kept["train"][i], plain["train"][i])
    assert "2 of 10 pictures" in told
    assert 0 < sum(file.stat().st_size for file in cache.cache_folder().iterdir()) <= 25_000
    _, told = keep(plain, CacheSize("disk", 100))
    assert "0 of 10 pictures" in told
    assert not list(cache.cache_folder().iterdir())


def test_a_changed_file_is_read_anew(folder):
    first, _ = keep(splits(folder), CacheSize("disk", GB))
    before = first["train"][0].image.clone()
    Image.fromarray(np.full((30, 40, 3), 9, np.uint8)).save(folder / "images" / "0.png")
    second, _ = keep(splits(folder), CacheSize("disk", GB))
    assert not torch.equal(second["train"][0].image, before)
    text = (folder / "data.yaml").read_text()
    (folder / "data.yaml").write_text(
        text.replace("nodata: 0", "map: {0: 1, 1: 0, 2: 2, 255: ignore}")
    )
    plain = splits(folder)
    third, _ = keep(plain, CacheSize("disk", GB))
    for i in range(5):
        assert_same(third["train"][i], plain["train"][i])


@pytest.mark.parametrize("spoilt", ["empty", "cut", "gone", "text"])
@pytest.mark.parametrize("part", [".json", ".image.npy", ".mask.npy"])
def test_damage_is_made_good(folder, spoilt, part):
    plain = splits(folder)
    kept, _ = keep(plain, CacheSize("disk", GB))
    assert kept["train"][1] is not None
    for file in cache.cache_folder().glob(f"*{part}"):
        if spoilt == "gone":
            file.unlink()
        else:
            content = {"empty": b"", "cut": file.read_bytes()[:-5], "text": b"words" * 99}[spoilt]
            file.write_bytes(content)
    for _ in range(2):
        assert_same(kept["train"][1], plain["train"][1])


def test_a_full_disk_only_costs_time(folder, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    plain = splits(folder)
    kept, _ = keep(plain, CacheSize("disk", GB))
    monkeypatch.setattr(cache, "_appear", full)
    assert_same(kept["train"][1], plain["train"][1])


DRAWN = ["scenes:size=64", "puppets:size=64", "depth-scenes:size=64", "overlapping-scenes:size=64"]


@pytest.mark.parametrize("spec", DRAWN)
def test_drawn_samples_of_all_kinds_are_kept_in_memory(spec):
    source = open_data(f"{spec},train=3,val=2,test=1")
    plain = {"train": source.split("train")}
    kept, told = keep(plain, CacheSize("memory", GB))
    assert "3 of 3" in told
    for _ in range(2):
        assert_same_or_nan(kept["train"][1], plain["train"][1])
    assert isinstance(kept["train"], Kept)
    _, told = keep(plain, CacheSize("disk", GB))
    assert "0 of 3" in told


def assert_same_or_nan(found, plain):
    for name, value in vars(plain).items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(getattr(found, name), value, rtol=0, atol=0, equal_nan=True)


def test_memory_is_free_again_when_the_process_ends(folder, tmp_path):
    code = (
        "from pixelwise.data import cache; from pixelwise.data.cache_size import CacheSize;"
        "from pixelwise.data.opening import open_data;"
        f"train = open_data({str(folder / 'data.yaml')!r}).split('train');"
        "kept, _ = cache.keep({'train': train}, CacheSize('memory', 10**9));"
        "kept['train'][0]; print(kept['train']._folder)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
    shutil.rmtree(tmp_path / "set")


WRONG = "memory", "2GB", "memory:", "memory:0GB", "disk:-1GB", "disk:10%", "disk:1e3GB", "ram:2GB"


def test_memory_of_a_killed_process_is_free_again(folder):
    code = (
        "import os, signal; from pixelwise.data import cache;"
        "from pixelwise.data.cache_size import CacheSize;"
        "from pixelwise.data.opening import open_data;"
        f"train = open_data({str(folder / 'data.yaml')!r}).split('train');"
        "kept, _ = cache.keep({'train': train}, CacheSize('memory', 10**9));"
        "print(kept['train']._folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    left = Path(done.stdout.strip())
    assert left.is_dir()
    keep(splits(folder), CacheSize("memory", GB))
    assert not left.exists()


def test_a_folder_that_cannot_be_made_is_told(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set XDG_CACHE_HOME to another folder"):
        keep(splits(folder), CacheSize("disk", GB))


@pytest.mark.parametrize("text", [*WRONG, ""])
def test_a_size_that_is_none_is_told(text):
    with pytest.raises(InputError, match="cache="):
        read_cache(text)


def test_sizes():
    assert read_cache("none") is None
    assert read_cache("memory:2GB") == CacheSize("memory", 2 * GB)
    assert read_cache("Disk: 1.5 tb") == CacheSize("disk", 1_500_000_000_000)
