"""The lists and cards that are printed without PyTorch are those of the classes."""

import dataclasses
import json
import subprocess
import sys
from importlib.resources import files

import pytest

from pixelwise.cli import card_table as module
from pixelwise.cli.card_table import as_cards, as_table, cards, sources
from pixelwise.cli.main import main
from pixelwise.cli.measured import from_classes, layer_cost, network_cost, upsampler_cost

REMEDY = "run: python docs/building/cards.py"
TABLE = json.loads(files("pixelwise.cli").joinpath(module.FILE).read_text(encoding="utf-8"))
KNOWN = as_cards(TABLE)
COSTS = [
    *((layer_cost, key, card.cost) for key, card in KNOWN.layers.items()),
    *((upsampler_cost, key, card.cost) for key, card in KNOWN.upsamplers.items()),
]
QUICK = ("se", "psa_s", "gate", "carafe")


def without_costs(cards):
    return {key: dataclasses.replace(card, cost=None) for key, card in cards.items()}


def test_the_table_is_that_of_the_classes():
    found = from_classes()
    assert TABLE["files"] == sources(), REMEDY
    assert without_costs(KNOWN.layers) == found.layers, REMEDY
    assert without_costs(KNOWN.upsamplers) == found.upsamplers, REMEDY
    assert without_costs(KNOWN.networks) == found.networks, REMEDY
    assert all(card.cost for card in KNOWN.networks.values())
    assert [*KNOWN.layers] == [*found.layers]
    assert json.loads(json.dumps(as_table(KNOWN))) == TABLE


@pytest.mark.parametrize(
    ("measure", "key", "told"),
    [
        pytest.param(*one, marks=() if one[1] in QUICK else pytest.mark.slow, id=one[1])
        for one in COSTS
    ],
)
def test_costs_are_those_measured_now(measure, key, told):
    found = measure(key)
    assert (found.parameters, found.power, found.images) == (
        told.parameters,
        told.power,
        told.images,
    ), REMEDY
    assert found.flops == pytest.approx(told.flops, rel=1e-3), REMEDY
    assert found.memory == pytest.approx(told.memory, rel=0.05), REMEDY


@pytest.mark.parametrize(
    "key", [pytest.param(k, marks=() if k == "fcn" else pytest.mark.slow) for k in KNOWN.networks]
)
def test_costs_of_networks_are_those_measured_now(key):
    card = KNOWN.networks[key]
    found = network_cost(key, card.backbone)
    assert (found.parameters, found.multiple) == (card.cost.parameters, card.cost.multiple), REMEDY
    assert found.flops == pytest.approx(card.cost.flops, rel=1e-3), REMEDY


@pytest.mark.parametrize(
    "words", ["layers", "layers psa_s", "layers PSA", "layers carafe", "models", "models DANet"]
)
def test_no_torch_is_loaded(words):
    code = (
        "import sys; from pixelwise.cli.main import main;"
        f"main({words.split()!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_a_further_layer_is_asked_for_its_card(monkeypatch, capsys):
    def said():
        printed = []
        for words in (
            ["layers"],
            ["layers", "psa_s"],
            ["layers", "carafe"],
            ["models"],
            ["models", "fcn"],
        ):
            assert main(words) == 0
            printed.append(capsys.readouterr().out)
        return printed

    before = said()
    more = {**sources(), "layers": [*sources()["layers"], "zeta.py"]}
    with monkeypatch.context() as patched:
        patched.setattr(module, "sources", lambda: more)
        assert all(card.cost is None for card in cards().layers.values())
        assert said() == before
    with monkeypatch.context() as patched:
        patched.setattr(module, "entry_points", lambda group: ["a plugin"])
        assert all(card.cost is None for card in cards().layers.values())
