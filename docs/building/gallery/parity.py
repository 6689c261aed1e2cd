"""Which recorded code a layer is compared with, found by building what the comparisons build.

`tests/golden` has an adapter for each recorded system; the module that it makes is a layer or a
network, or has layers inside. The errors are those of `docs/equality.md`.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from building.gallery.texts import table
from building.places import ROOT
from pixelwise.layers.base import Layer
from pixelwise.layers.registry import available
from pixelwise.networks.base import Decoder
from pixelwise.networks.segmenter import Segmenter

GOLDEN = ROOT / "tests" / "golden"


Own = tuple[str, str]
"""Of what kind something is, "layers" or "networks", and its key."""


@dataclass(frozen=True)
class System:
    """A recorded system, and what it is compared with here."""

    name: str
    own: Own | None
    """The layer or network that it is; None where it is another part."""
    inside: frozenset[Own]
    """Layers inside of it."""


@functools.cache
def systems() -> tuple[System, ...]:
    """All recorded systems that are a layer or a network, or have layers inside."""
    found = []
    with _importable(GOLDEN):
        from adapters import ADAPTERS

        for name, adapter in sorted(ADAPTERS.items()):
            files = sorted((GOLDEN / "vectors" / name).glob("*.safetensors"))
            module = _module(files[0], adapter) if files else None
            if module is None:
                continue
            own = _own(module)
            keys = {_own(part) for part in module.modules() if isinstance(part, Layer)}
            inside = frozenset(key for key in keys if key is not None and key != own)
            if own or inside:
                found.append(System(name, own, inside))
    return tuple(found)


def _module(file: Path, adapter: Any) -> nn.Module | None:
    """What an adapter makes for a recorded file; some make it as the weights come."""
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
        tensors = {
            name.removeprefix("state."): opened.get_tensor(name)
            for name in opened.keys()  # noqa: SIM118 - a file, not a mapping
            if name.startswith("state.")
        }
    with torch.device("meta"):  # nothing is computed with it
        subject = adapter(json.loads(metadata["config"]))
    if type(subject.module).__name__ == "Later":
        subject.load(tensors)
        return getattr(subject.module, "module", None)
    return subject.module


def _own(module: nn.Module) -> Own | None:
    known = module.decoder if isinstance(module, Segmenter) else module
    if isinstance(known, Decoder):
        return "networks", known.key
    if isinstance(known, Layer) and hasattr(known, "key"):
        return "layers", known.key
    homes = [key for key, cls in available().items() if cls.__module__ == type(known).__module__]
    return ("layers", homes[0]) if len(homes) == 1 else None  # a part of that layer


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def parity_lines(kind: str, key: str) -> list[str]:
    """The errors of a layer or a network beside the recorded code, as lines of Markdown."""
    rows = {row[0].strip("`"): row[1:] for row in table("equality.md")}
    own = [system.name for system in systems() if system.own == (kind, key)]
    names = {name.split("@")[0] for name in own}
    others = [name for name in rows if name.split("@")[0] in names and name not in own]
    lines = []
    if own:
        lines += [
            "| recorded code | files | output, float64 | gradient, float64 | output, float32"
            " | gradient, float32 |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
            *(f"| `{name}` | {' | '.join(rows[name])} |" for name in own if name in rows),
            "",
        ]
    lines += [f"- `{name}`: {rows[name][0]}" for name in others if rows[name][0].startswith("not")]
    larger = [system.name for system in systems() if (kind, key) in system.inside]
    if larger:
        lines += ["", "Also inside of " + ", ".join(f"`{name}`" for name in larger) + "."]
    if lines:
        lines += [
            "",
            "Each error is the largest beside numbers recorded from the code of others, relative"
            " to the largest value; the recordings are stored in float32, which alone makes about"
            " 5e-8. All of them: [numerical differences](../../equality.md).",
        ]
    return lines
