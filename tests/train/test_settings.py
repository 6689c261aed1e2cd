"""What a run is told, in any way it can be told."""

import pytest

from pixelwise.cli.parsing import add_settings, command_parser, parse, take
from pixelwise.errors import InputError
from pixelwise.train.settings import TrainSettings

YAML = """
data: scenes
attention:
  3: gc
  inner: {name: psa_s, variant: paper}
convolution: {4: deform}
insert:
  layer4: isa(down_factors=[(8, 8)])
"""


def told(*words):
    parser = command_parser("train", "")
    add_settings(parser, TrainSettings)
    return take(parse(parser, words), TrainSettings)


def test_flags_and_yaml_say_layers_and_places_alike(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(YAML)
    from_yaml = told("--config", str(file))
    assert from_yaml.attention == "gc@stage3; psa_s(variant=paper)@inner"
    assert from_yaml.convolution == "deform@stage4"
    assert from_yaml.insert == "isa(down_factors=((8, 8),))@layer4"
    assert from_yaml == told(
        *("--data", "scenes", "--attention", "gc@3, psa_s(variant=paper)@inner"),
        *("--convolution", "4=deform", "--insert", "layer4=isa(down_factors=[(8, 8)])"),
    )


def test_what_is_no_plan_stays_as_it_is():
    chosen = TrainSettings(attention="none", insert="trained.safetensors")
    assert (chosen.attention, chosen.convolution) == ("none", "auto")
    assert chosen.insert == "trained.safetensors"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "gc@layer4"}, "attention='gc@layer4': 'layer4' is no place here"),
        ({"convolution": "deform@inner"}, "convolution='deform@inner': 'inner' is no place here"),
        ({"insert": "layer4"}, "insert='layer4': 'layer4' names no place and layer"),
    ],
)
def test_plans_are_read_before_anything_starts(changes, message):
    with pytest.raises(InputError, match=message):
        TrainSettings(**changes)


@pytest.mark.parametrize(
    ("count", "loaders", "readers"), [(1, 0, 0), (2, 1, 2), (4, 2, 4), (64, 2, 8)]
)
def test_processes_that_load_leave_one_to_train(monkeypatch, count, loaders, readers):
    monkeypatch.setattr("pixelwise.train.settings.processors", lambda: count)
    usual, stated = TrainSettings(data="scenes"), TrainSettings(data="scenes", workers=3)
    assert (usual.loaders, usual.readers) == (loaders, readers)
    assert (stated.loaders, stated.readers) == (3, 3)
