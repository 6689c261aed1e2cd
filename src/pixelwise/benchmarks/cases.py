"""What can be measured, by name: `psa_p`, `nonlocal:mode=gaussian`, `danet`, `network/psanet`.

A name is a layer's key or a network's, with options behind a colon. Where both have the name the
layer is meant; `network/NAME` is the network. Other names of both, as papers and code have them,
are found as well. `layers` and `networks` stand for all of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pixelwise.errors import InputError, unknown
from pixelwise.kinds import plain
from pixelwise.language import translate
from pixelwise.layers import registry as layers
from pixelwise.layers.benchmarked import Size
from pixelwise.naming import Names, matches, meanings, resolve
from pixelwise.networks import registry as networks

LAYER_SIZE: Size = (1, 512, 64, 128)
NETWORK_SIZE: Size = (1, 3, 512, 1024)
NETWORK = "network/"


@dataclass(frozen=True)
class Case:
    """A layer or a network, with options."""

    name: str
    """Of rows: the key, and the options as they were typed."""
    key: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_network: bool = False

    @property
    def divide(self) -> int:
        """Sides of the map are divided by it: all pairs of pixels would not fit in memory."""
        if self.is_network:
            return 1
        return layers.available()[self.key].benchmark_divisor(self.options)

    def at(self, sizes: Sequence[Size]) -> tuple[Size, ...]:
        """The sizes at which the case is measured, where these are asked for (or none)."""
        if not sizes:
            sizes = [NETWORK_SIZE if self.is_network else LAYER_SIZE]
        return tuple(
            (b, c, max(1, h // self.divide), max(1, w // self.divide)) for b, c, h, w in sizes
        )


def cases(names: Iterable[str]) -> list[Case]:
    """The cases of these names, each once; of all layers where there is none.

    Raises:
        InputError: There is no such layer, network or option.
    """
    expanded = [one for name in names or ["layers"] for one in _expanded(name)]
    return [parse_case(name) for name in dict.fromkeys(expanded)]


def parse_case(name: str) -> Case:
    """Read one name."""
    key, colon, text = name.partition(":")
    options = _options(name, text) if colon else {}
    named = key.removeprefix(NETWORK)
    if named != key or (key not in layers.available() and matches(key, networks.all_names())):
        found = networks.resolve(named)
        prefix = NETWORK if named != key or found in layers.available() else ""
        return Case(f"{prefix}{found}{colon}{text}", found, options, is_network=True)
    if not meanings(key, layers.all_names()):
        resolve("name", key, _both())
    key = layers.asked(key, "name")
    known = layers.options(key)
    for option in options:
        if option not in known:
            raise unknown("option", option, known, f"of layer {key!r}")
    return Case(f"{key}{colon}{text}", key, options)


def notes(found: Iterable[Case]) -> list[str]:
    """What a reader of a comparison should know of the authors' code, a line each."""
    keys = dict.fromkeys(case.key for case in found if not case.is_network)
    told = {key: layers.available()[key].authors_limit for key in keys}
    return [f"{key}: {translate(limit)}" for key, limit in told.items() if limit]


def _both() -> Names:
    """All names, for who types one of neither."""
    ours, theirs = layers.all_names(), networks.all_names()
    elsewhere = (*ours.elsewhere, *theirs.elsewhere)
    return Names({**theirs.known, **ours.known}, elsewhere, ours.shared)


def _expanded(name: str) -> Iterator[str]:
    if name == "layers":
        for key, layer in layers.available().items():
            yield from (f"{key}:{options}".rstrip(":") for options in layer.benchmark_cases)
    elif name == "networks":
        for key in networks.names():
            yield f"{NETWORK}{key}" if key in layers.available() else key
    else:
        yield name


def _options(name: str, text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load("{" + text.replace("=", ": ") + "}")
    except yaml.YAMLError:
        found = None
    if not found or None in found.values():
        raise InputError(
            f"name={name!r}: must be NAME:option=value,...; e.g. nonlocal:mode=gaussian"
        )
    return dict(plain(found))
