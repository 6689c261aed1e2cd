import contextlib
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.data import each as module
from pixelwise.data.each import each, one_thread
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError


class Numbers:
    apart = True

    def __len__(self):
        return 12


def square(split, index):
    return index * index, os.getpid(), torch.get_num_threads()


def refusing(split, index):
    time.sleep(0.2 if index == 4 else 0)  # the later error is there first
    if index >= 4:
        raise InputError(f"{index}.png: is wrong; correct it")
    return index


def dying(split, index):
    if index == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return index


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(module, "FEW", {})
    monkeypatch.setattr(module, "FEW_ANEW", 8)


@pytest.mark.parametrize("workers", [0, 2])
def test_facts_come_in_order_and_one_thread_finds_them(few, workers):
    before = torch.get_num_threads()
    found = [*each(Numbers(), square, workers)]
    assert [number for number, _, _ in found] == [i * i for i in range(12)]
    assert {threads for _, _, threads in found} == {1}
    assert len({process for _, process, _ in found} - {os.getpid()}) == workers
    assert torch.get_num_threads() == before
    assert not multiprocessing.active_children()


def test_few_pictures_and_those_that_leave_something_behind_are_read_here(few):
    together = Numbers()
    together.apart = False
    assert {process for _, process, _ in each(together, square, 2)} == {os.getpid()}
    module.FEW_ANEW = 13
    assert {process for _, process, _ in each(Numbers(), square, 2)} == {os.getpid()}


@pytest.mark.parametrize("workers", [0, 2])
def test_the_first_error_in_the_pictures_order_is_raised_as_it_is(few, workers):
    read = []
    with (
        pytest.raises(InputError, match=r"^4\.png: is wrong; correct it$"),
        contextlib.closing(each(Numbers(), refusing, workers)) as found,
    ):
        read += found
    assert not multiprocessing.active_children()


def test_no_process_is_left_where_nobody_reads_on(few):
    with contextlib.closing(each(Numbers(), square, 2)) as found:
        next(found)
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()
    assert torch.get_num_threads() >= 1


def test_a_process_that_is_killed_is_told_in_one_line(few):
    with pytest.raises(InputError, match="workers=2: a process that reads pictures was killed"):
        list(each(Numbers(), dying, 2))
    assert not multiprocessing.active_children()


def test_threads_are_as_before_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def written(folder, spoilt=None):
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "train" / kind).mkdir(parents=True)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)).save(
            folder / f"train/images/{i:02}.png"
        )
        mask = rng.integers(0, 3, (8, 9), np.uint8)
        mask[0] = 9 if i == spoilt else 255
        Image.fromarray(mask).save(folder / f"train/masks/{i:02}.png")
    text = "path: .\ntrain: train/images\nval: train/images\nnames: [a, b, c]\n"
    (folder / "data.yaml").write_text(text)
    return open_data(str(folder / "data.yaml")).split("train")


def test_processes_find_what_one_finds(few, tmp_path):
    split = written(tmp_path)
    told = []
    one, several = (split.check(lambda i, n: told.append((i, n)), workers=w) for w in (0, 2))
    assert one == several
    assert np.array_equal(one.by_picture, several.by_picture)
    assert told == [(i + 1, 12) for i in range(12)] * 2


def test_processes_refuse_what_one_refuses(few, tmp_path):
    split = written(tmp_path, spoilt=7)
    told = []
    for workers in (0, 2):
        with pytest.raises(InputError, match=r"07\.png: has values that .* does not list: 9 ") as e:
            split.check(workers=workers)
        told.append(str(e.value))
    assert told[0] == told[1]
