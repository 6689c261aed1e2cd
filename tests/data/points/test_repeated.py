"""Sigmas from pictures that were labelled twice."""

import math

import numpy as np
import pytest

from pixelwise.data.opening import open_data
from pixelwise.data.points.repeated import estimated_sigmas
from pixelwise.errors import InputError

NAMES = ("nose", "left", "right")
HEAD = "file,name,x,y\n"
YAML = "labels: labels.csv\nrepeated: second.csv\n"


def test_sigmas_of_repeated_labels():
    generator = np.random.default_rng(0)
    wanted = np.array([0.02, 0.05, 0.1])
    areas = generator.uniform(400, 10_000, 3000)
    places = generator.uniform(0, 100, (3000, 3, 2))
    # sigma^2 is the mean square of the distance: half of it along each axis.
    spread = (wanted / math.sqrt(2))[:, None] * np.sqrt(areas)[:, None, None]
    labels = places + spread * generator.standard_normal((3, 3000, 3, 2))
    labels[2, ::2] = math.nan
    np.testing.assert_allclose(estimated_sigmas(labels, areas, NAMES), wanted, rtol=0.03)


@pytest.mark.parametrize(
    ("labels", "area", "message"),
    [
        (np.zeros((1, 1, 1, 2)), 1.0, "point 'nose' is labelled once at most"),
        (np.zeros((2, 1, 1, 2)), 1.0, "point 'nose' is labelled alike every time"),
        (np.zeros((2, 1, 1, 2)), 0.0, "must be above 0"),
    ],
)
def test_sigmas_that_cannot_be_estimated(labels, area, message):
    with pytest.raises(InputError, match=message):
        estimated_sigmas(labels, np.array([area]), NAMES)


def table(dx=0.0, names=("nose", "tail"), files=range(6), folder=""):
    """A nose at (3, 7) and a tail at (13, 17): a box of 100 square pixels."""
    return HEAD + "".join(
        f"{folder}{i}.png,{name},{x + dx * (k + 1)},{x + 4}\n"
        for i in files
        for k, (name, x) in enumerate(zip(names, (3, 13), strict=True))
    )


@pytest.fixture
def write(write_pictures):
    def write_set(second, yaml=YAML, first=None):
        folder = write_pictures(*(f"v/{i}.png" for i in range(6)))
        (folder / "labels.csv").write_text(first or table())
        (folder / "second.csv").write_text(second)
        (folder / "data.yaml").write_text(yaml)
        return folder

    return write_set


@pytest.mark.parametrize("folder", ["", "v/", "..\\v\\"])
def test_a_second_file_gives_sigmas(write, folder):
    source = open_data(write(table(dx=2, folder=folder, files=range(3))))
    # Of two labels 2 (and 4) pixels apart the variance is 2 (and 8); the box has 10 x 10 pixels.
    expected = (math.sqrt(2 / 100), math.sqrt(8 / 100))
    assert source.skeleton.sigmas == pytest.approx(expected, rel=1e-12)
    assert source.split("train")[0].area == pytest.approx(100)
    assert "sigmas from 3 figures labelled twice, areas are those of boxes" in source.contents


def test_a_figure_of_one_point_has_the_usual_area(write):
    first = table().replace("5.png,tail,13,17", "5.png,tail,,")
    source = open_data(write(table(dx=2), YAML + "split: {val: 0.3, seed: 1}\n", first))
    areas = [source.split(split)[i].area for split in source.splits for i in range(2)]
    assert areas == pytest.approx([100] * 4)


@pytest.mark.parametrize(
    ("second", "yaml", "message"),
    [
        (table(), YAML, "second.csv: labels: point 'nose' is labelled alike every time"),
        (table(dx=1, names=("snout", "tail")), YAML, "second.csv: point='snout': is none of"),
        (table(dx=1, files=[8, 9]), YAML, "second.csv: has no picture with one figure in common"),
        (HEAD + "0.png,nose,1,1\n", YAML, "point 'tail' is labelled once at most"),
        ("file\n", YAML, "second.csv: has no column 'name'"),
        (table(dx=1), YAML + "sigmas: [1, 1]\n", "repeated: estimates sigmas, but `sigmas:`"),
        (table(), YAML.replace("second", "third"), "third.csv: no such file"),
        (table(), YAML.replace("second", "labels"), "labels.csv holds the labels; name those of"),
        (table(), YAML.replace("second.csv", "3"), "repeated=3: must be a file, or a list"),
    ],
)
def test_what_gives_no_sigmas(write, second, yaml, message):
    with pytest.raises(InputError) as told:
        open_data(write(second, yaml))
    assert message in str(told.value)
    assert "\n" not in str(told.value)
