"""The quick form before a training: what it finds of broken sets, and that it ends in time."""

import pytest
from broken_sets import BROKEN
from healthy_sets import HEALTHY
from whole_sets import copy, files, whole

from pixelwise.doctor.quick import READ, quick_look

LEFT = {
    "dim val", "hidden", "near leak", "mirrored leak", "twice", "twice, saved anew",
    "twice, other masks", "torn sequence", "absent from train", "absent everywhere", "constant",
    "all ignored", "val of one class", "floats of two scales", "cropped leak", "turned leak",
    "brighter leak", "a rare class", "archive", "large pictures", "shuffled", "two exchanged",
    "one mask for all", "train of one class",
}  # fmt: skip
"""What only all files together can tell."""
QUICK = ["0 and 255", "JPEG masks called PNG", "other sizes", "EXIF 6", "mask cut off"]


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_sets_are_never_accused(name, tmp_path):
    HEALTHY[name](whole(tmp_path))
    assert quick_look(str(tmp_path)).findings == ()


def check_broken(name, folder):
    case = BROKEN[name]
    case.make(folder)
    looked = quick_look(str(folder))
    assert case.key in {finding.key for finding in looked.findings}
    assert all(finding.remedy and "\n" not in finding.line for finding in looked.findings)
    return looked


@pytest.mark.parametrize("name", QUICK)
def test_some_broken_sets(name, tmp_path):
    assert not check_broken(name, tmp_path).may_start


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BROKEN if name not in LEFT])
def test_broken_sets(name, tmp_path):
    check_broken(name, tmp_path)


def test_what_is_seen_by_statistics_alone_does_not_stop(tmp_path):
    looked = check_broken("mirrored", tmp_path)
    assert looked.may_start
    assert [finding.severity for finding in looked.findings] == ["warn"]


def test_it_ends_in_time(tmp_path):
    now = iter(range(1000))
    looked = quick_look(str(whole(tmp_path)), seconds=4.0, clock=lambda: float(next(now)))
    assert 0 < looked.read < looked.pairs
    assert quick_look(str(tmp_path)).read <= 2 * READ


def test_a_picture_in_two_splits_under_other_names(tmp_path):
    whole(tmp_path)
    for kind in ("images", "masks"):
        train, val = files(tmp_path, kind, "train"), files(tmp_path, kind, "val")
        copy(train[0], val[0].with_name(f"again{val[0].suffix}"))
    (finding,) = quick_look(str(tmp_path)).findings
    assert finding.key == "leak"
    assert any(file.endswith("again.png") for file in finding.files)


@pytest.mark.parametrize("data", ["scenes", "puppets:train=3", "depth-scenes"])
def test_what_is_drawn_is_not_looked_at(data):
    assert quick_look(data) is None
