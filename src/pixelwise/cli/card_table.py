"""What `pixelwise layers` and `pixelwise models` print, read from a file: torch takes seconds.

`python docs/building/cards.py` writes the file, from the classes and from measurements; a test
compares. Where a plugin brings layers, or there is a file of a layer or network that the table does
not know, the classes are asked as before.
"""

import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

from pixelwise.cli.cards import Card, Cards, Cost, NetworkCard, NetworkCost

FILE = "cards.json"
FOLDERS = ("layers", "layers/upsampling", "networks/decoders")
"""Where a file is enough for a further layer, upsampler or network."""


def cards() -> Cards:
    """From the file, or from the classes where it does not hold all of them."""
    table = json.loads(files("pixelwise.cli").joinpath(FILE).read_text(encoding="utf-8"))
    if table["files"] == sources() and not entry_points(group="pixelwise.layers"):
        return as_cards(table)
    from pixelwise.cli.measured import from_classes

    return from_classes()


def sources() -> dict[str, list[str]]:
    """The files of layers, upsamplers and networks."""
    root = files("pixelwise")
    return {
        folder: sorted(
            one.name for one in root.joinpath(folder).iterdir() if one.name.endswith(".py")
        )
        for folder in FOLDERS
    }


def as_cards(table: Mapping[str, Any]) -> Cards:
    """The cards of what `as_table` made."""
    layers, upsamplers = (
        {key: _card(one) for key, one in table[kind].items()} for kind in ("layers", "upsamplers")
    )
    networks = {key: _network(one) for key, one in table["networks"].items()}
    return Cards(layers, upsamplers, networks)


def _card(found: Mapping[str, Any]) -> Card:
    cost = Cost(**{**found["cost"], "memory": tuple(found["cost"]["memory"])})
    names, options = tuple(found["names"]), tuple(found["options"])
    return Card(**{**found, "names": names, "options": options, "cost": cost})


def _network(found: Mapping[str, Any]) -> NetworkCard:
    names, options = tuple(found["names"]), tuple(found["options"])
    cost = NetworkCost(**found["cost"])
    return NetworkCard(**{**found, "names": names, "options": options, "cost": cost})


def as_table(found: Cards) -> dict[str, Any]:
    """The cards as the file holds them."""
    return {"files": sources(), **dataclasses.asdict(found)}
