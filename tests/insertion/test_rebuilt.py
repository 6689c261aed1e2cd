import copy
import json
import pickle

import pytest
import torch
from torch import nn

import pixelwise as pw
from pixelwise.errors import InputError

LINE = r"insert='eca@0': the trainer builds a new network without these layers; train with .*"


class Recipe(nn.Sequential):
    """A network that is built from a recipe and carries it, as YOLO networks do."""

    def __init__(self, recipe):
        super().__init__(*(nn.Conv2d(3, 3, 1) for _ in range(copy.deepcopy(recipe)["depth"])))
        self.yaml = recipe


@pytest.fixture
def host():
    return Recipe({"depth": 2})


def test_a_network_from_the_recipe_of_an_inserted_one_is_refused(host):
    pw.insert(host, "0=eca")
    with pytest.raises(InputError, match=LINE):
        Recipe(host.yaml)
    with pytest.raises(InputError, match=LINE):
        Recipe({**host.yaml, "depth": 3})
    assert json.loads(json.dumps(host.yaml)) == {"depth": 2, "inserted": "eca@0"}


def test_the_network_itself_is_copied_with_its_recipe(host):
    pw.insert(host, "0=eca")
    for found in (copy.deepcopy(host), pickle.loads(pickle.dumps(host))):
        copied = copy.deepcopy({"ema": found})["ema"]
        assert copied.inserted.keys() == host.inserted.keys()
        with pytest.raises(InputError, match=LINE):
            Recipe(copied.yaml)


def test_the_recipe_of_another_network_is_not_changed(host):
    other, recipe = Recipe(host.yaml), host.yaml
    report = pw.insert(host, "0=eca")
    second = pw.insert(host, "1=eca")
    assert host.yaml["inserted"] == "eca@0; eca@1"
    assert recipe is other.yaml == {"depth": 2}
    report.remove()
    assert host.yaml["inserted"] == "eca@1"
    second.remove()
    assert host.yaml == recipe
    Recipe(host.yaml)


def test_a_refused_insertion_leaves_the_recipe(host):
    with pytest.raises(InputError):
        pw.insert(host, "0=eca, 5=eca")
    assert host.yaml == {"depth": 2}


class Owner(nn.Module):
    """Holds a network, as an Ultralytics `YOLO` object does."""

    def __init__(self, model):
        super().__init__()
        self.model, self.callbacks = model, {}


class Trainer:
    def __init__(self, model):
        self.model = model


def test_an_owner_looks_at_the_network_of_its_trainer(host):
    owner = Owner(host)
    pw.insert(host, "0=eca")
    pw.insert(host, "1=eca").remove()
    (look,) = owner.callbacks["on_pretrain_routine_end"]
    look(Trainer(nn.ModuleList([copy.deepcopy(host)])))  # wrapped by somebody
    with pytest.raises(InputError, match=LINE):
        look(Trainer(Recipe({"depth": 2})))
    other = copy.deepcopy(owner)
    other.model = Recipe({"depth": 2})
    other.callbacks["on_pretrain_routine_end"][0](Trainer(other.model))


def test_the_output_is_as_it_was(host):
    x = torch.randn(1, 3, 8, 8)
    before = host(x)
    pw.insert(host, "0=eca")
    assert torch.equal(host(x), before)
