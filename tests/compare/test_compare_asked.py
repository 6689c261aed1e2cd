"""What a comparison is asked for."""

import pytest

from pixelwise.compare.asked import ASKED, CompareSettings, read_asked
from pixelwise.errors import InputError
from pixelwise.settings import as_plain
from pixelwise.yaml_files import to_text


def test_options_of_layers_have_commas_of_their_own():
    asked = CompareSettings(
        attention="none, isa(down_factors=[(8, 8)], dropout=0.1),se", where="3, layer4"
    )
    assert asked.mechanisms == ("none", "isa(down_factors=[(8, 8)], dropout=0.1)", "se")
    assert asked.places == ("3", "layer4")


def test_the_recipe_is_that_of_all_runs():
    asked = CompareSettings(data="scenes", lr=0.1, train={"recipe": "sgd", "ema": 0.9})
    recipe = asked.recipe()
    assert (recipe.data, recipe.model, recipe.lr, recipe.recipe) == ("scenes", "fcn", 0.1, "sgd")
    assert recipe.ema == 0.9
    started = CompareSettings(data="scenes", start="runs/train/1").recipe()
    assert started.start == "runs/train/1"
    assert started.model == "auto"


def test_what_was_asked_is_read_again(tmp_path):
    asked = CompareSettings(
        data="städte/数据", train={"balance": "auto"}, lr_sweep="0.3,1,3", budget="90m"
    )
    (tmp_path / ASKED).write_text(to_text(as_plain(asked)), encoding="utf-8")
    assert read_asked(tmp_path) == asked
    assert asked.factors() == (0.3, 1.0, 3.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": " , "}, "attention='': names nothing"),
        ({"attention": "isa(a=1"}, r"attention='isa\(a=1': a quote or bracket"),
        ({"where": ""}, "where='': names no place"),
        ({"name": "a/b"}, "name='a/b': must be a plain folder name"),
        ({"seeds": 0}, "seeds=0: must be"),
        ({"seeds": 101}, "seeds=101: must be"),
        ({"steps": 10, "budget": "1h"}, "budget and steps exclude each other"),
        ({"budget": "2"}, "budget='2': needs a unit"),
        ({"time_per_run": "x"}, "time_per_run='x': must be a duration"),
        ({"split": "train"}, "split='train': must be one of"),
        ({"lr_sweep": "1"}, "lr_sweep='1': must be two factors"),
        ({"lr_sweep": "1,nan"}, "lr_sweep='1,nan': must be two factors"),
        ({"train": {"lr": 1}}, "train={lr: ...}: is not set this way"),
        ({"train": {"ema": 7}}, "ema=7: must be"),
        ({"train": {"recipee": "sgd"}}, "recipee"),
        ({"start": "run", "backbone": "resnet18"}, "start='run': brings its own network"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        CompareSettings(data="scenes", **options)


def test_another_folder_is_no_comparison(tmp_path):
    with pytest.raises(InputError, match=r"has no comparison\.yaml"):
        read_asked(tmp_path)
    (tmp_path / ASKED).write_text("seeds: many\n")
    with pytest.raises(InputError, match=r"comparison\.yaml: seeds='many': must be a whole number"):
        read_asked(tmp_path)
