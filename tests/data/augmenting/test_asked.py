"""What `augment` may say, as text, as a mapping and as YAML."""

import math

import pytest

from pixelwise.data.augmenting.asked import read_augment
from pixelwise.data.augmenting.kinds import KINDS
from pixelwise.data.augmenting.naming_own import spec_of
from pixelwise.errors import InputError
from pixelwise.train.settings import TrainSettings
from pixelwise.yaml_files import read, to_text


def nothing(image, mask, rng):
    return image, mask


def test_text_mapping_and_yaml_mean_the_same(tmp_path):
    asked = {"turn": 20, "elastic": {"chance": 0.3, "strength": 4}}
    asked["copy_paste"] = {"classes": ["a", "b c"]}
    found = read_augment(asked)
    assert found == {
        "turn": {"angle": 20.0, "chance": 1.0},
        "elastic": {"chance": 0.3, "strength": 4.0, "spacing": 48.0},
        "copy_paste": {"chance": 0.5, "whole": 0, "classes": ["a", "b c"]},
    }
    text = "turn=20, elastic(chance=0.3, strength=4), copy_paste(classes=[a, b c])"
    assert read_augment(text) == found
    inline = "{turn: 20, elastic: {chance: 0.3, strength: 4}, copy_paste: {classes: [a, b c]}}"
    assert read_augment(inline) == found
    (tmp_path / "config.yaml").write_text(to_text({"augment": found}), encoding="utf-8")
    assert read_augment(read(tmp_path / "config.yaml")["augment"]) == found
    assert read_augment(found) == found
    assert TrainSettings(augment=text).augment == found


def test_every_default_is_allowed():
    for name in KINDS:
        found = read_augment({name: {"chance": 1}})
        assert found == read_augment(found)


@pytest.mark.parametrize("nothing", [None, "", " none ", {}, "blur=0", "turn=0", "{}"])
def test_nothing_is_asked_for(nothing):
    assert read_augment(nothing) is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("trun=20", "kind='trun': unknown kind; did you mean 'turn'"),
        ("turn", "'turn' must be KIND=NUMBER or"),
        ("blur=1.5", "blur: chance=1.5: must be a number from 0 to 1"),
        ("blur=-1", "blur: chance=-1.0: must be a number from 0 to 1"),
        ("blur=nan", "blur: chance=nan: must be a number"),
        ("blur=x", "blur: chance='x': must be a number"),
        ("blur(sgima=1)", "option='sgima': unknown option of blur; did you mean 'sigma'"),
        ("blur(sigma)", "'sigma' must be OPTION=NUMBER"),
        ("blur(sigma=1,sigma=2)", "must be OPTION=NUMBER, each once"),
        ("blur=1,blur=1", "asks for blur twice"),
        ("blur(sigma=1", "a bracket has no partner"),
        ("{blur: ", "cannot be read as YAML"),
        ("{blur: 1, blur: 1}", "stands in line 1 already"),
        ("elastic(strength=24)", "elastic: strength=24: would fold the picture"),
        ("copy_paste(classes=[])", "must be rare, or a list of names"),
        ({"copy_paste": {"classes": 3}}, "must be rare, or a list of names"),
        ("copy_paste(whole=2)", "must be true or false"),
        ("own=vary.py", "must be FILE:FUNCTION"),
        ("own=vary:go", "must be FILE:FUNCTION"),
        ({"own": lambda image, mask, rng: (image, mask)}, "must be a function at the top of a"),
        ({"own": 3}, "must be a function at the top of a file"),
        *(({"noise": value}, "must be a number") for value in (None, True, [1], math.inf)),
        ({"noise": {"chance": "1"}}, "must be a number"),
        ({"jpeg": {"quality": 30.5}}, "must be a whole number from 1 to 95"),
        ({3: 1}, "kind='3': unknown kind"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(asked, message):
    with pytest.raises(InputError, match="augment") as told:
        read_augment(asked)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_functions_are_recorded_by_file_and_name():
    assert spec_of(nothing) == f"{__file__}:nothing"
    assert spec_of(" a b/c.py:go ") == "a b/c.py:go"
    assert read_augment({"own": nothing}) == read_augment(f"own={__file__}:nothing")
