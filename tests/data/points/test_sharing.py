"""Neighbouring frames stay in one split."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from pixelwise.data.points.sharing import Shares, in_order, parse_shares, share_out
from pixelwise.errors import InputError


def frames(**folders):
    return [Path(name) / f"img{i}.png" for name, count in folders.items() for i in range(count)]


def runs(files, splits):
    """How often the split changes from one frame to the next of a folder."""
    of = [(file.parent, splits[file]) for file in sorted(files, key=in_order)]
    return sum(a[0] == b[0] and a[1] != b[1] for a, b in pairwise(of))


def test_frames_are_ordered_by_their_numbers():
    names = [Path(f"v{v}/img{i}.png") for v in (2, 10) for i in (1, 9, 10, 100)]
    shuffled = names[::-1]
    assert sorted(shuffled, key=in_order) == names


@pytest.mark.parametrize("seed", range(5))
def test_videos_stay_whole(seed):
    files = frames(a=10, b=10, c=10, d=10, e=10)
    shared = share_out(reversed(files), Shares(seed=seed))
    assert Counter(shared.splits.values()) == {"train": 40, "val": 10}
    assert runs(files, shared.splits) == 0
    assert re.fullmatch(r"split by folder, 5 of them: val [a-e]: 10 of 50 pictures", shared.told)


@pytest.mark.parametrize("seed", range(5))
def test_a_large_video_is_not_given_away(seed):
    shared = share_out(frames(long=100, short=16), Shares(seed=seed))
    assert Counter(shared.splits.values()) == {"train": 100, "val": 16}


@pytest.mark.parametrize("count", [10, 23, 116, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_one_video(count, seed):
    files = frames(v=count)
    shared = share_out(files, Shares(seed=seed))
    val = Counter(shared.splits.values())["val"]
    assert abs(val - 0.2 * count) <= 0.05 * count + 1
    assert runs(files, shared.splits) <= 4  # two blocks at most
    blocks = int(re.search(r"split in (\d+) blocks of neighbouring frames", shared.told)[1])
    assert 5 <= blocks <= 12
    assert f"val {val} of {count} pictures" in shared.told


def test_blocks_lie_in_one_folder():
    files = frames(a=37, b=4, c=23)
    shared = share_out(files, Shares(val=0.2, test=0.2, by="block"))
    assert {"train", "val", "test"} == {*shared.splits.values()}
    assert runs(files, shared.splits) <= 8


def test_two_folders_are_too_few_for_three_splits():
    files = frames(a=30, b=30)
    assert "split in" in share_out(files, Shares(test=0.2)).told
    assert "split by folder, 2 of them" in share_out(files, Shares()).told
    with pytest.raises(InputError, match=r"leaves no folder for 'train' of 2.*`by: block`"):
        share_out(files, Shares(test=0.2, by="folder"))


def test_pictures_by_chance_are_told_as_that():
    files = frames(v=100)
    shared = share_out(files, Shares(by="picture"))
    assert Counter(shared.splits.values()) == {"train": 80, "val": 20}
    assert runs(files, shared.splits) > 10
    assert shared.told.startswith("split picture by picture, neighbouring frames of a video apart")


def test_order_of_the_files_does_not_matter_but_the_seed_does():
    files = frames(v=200)
    first = share_out(files, Shares()).splits
    assert share_out(reversed(files), Shares()).splits == first
    assert any(share_out(files, Shares(seed=seed)).splits != first for seed in range(1, 4))


@pytest.mark.parametrize("by", ["folder", "block", "picture"])
def test_one_picture_cannot_be_shared(by):
    with pytest.raises(InputError, match=f"split: leaves no {by} for 'train' of 1 in the labels"):
        share_out(frames(v=1), Shares(by=by))


def test_without_shares_all_is_train():
    shared = share_out(frames(v=9), Shares(val=0.0))
    assert ({*shared.splits.values()}, shared.told) == ({"train"}, "")


def test_shares_of_a_data_yaml():
    assert parse_shares({"val": 0.25}) == Shares(0.25)
    assert parse_shares({"by": "block", "seed": 7}) == Shares(by="block", seed=7)
    with pytest.raises(InputError, match="by='video': must be one of 'auto', 'folder', 'block'"):
        parse_shares({"by": "video"})
