"""What to insert where, in the ways people write it."""

from collections.abc import Mapping
from typing import Any

from pixelwise.errors import InputError
from pixelwise.insertion.places import Target


class Layer:
    """A layer to insert: its key, and options as of `create_layer`.

    Example:
        `Layer("isa", down_factors=[(8, 8)])`
    """

    def __init__(self, key: str, **options: Any) -> None:
        self.key, self.options = key, options

    def __repr__(self) -> str:
        told = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Layer({self.key!r}{told})"


Entry = str | Layer | Mapping[str, Any] | tuple[str, Mapping[str, Any]]
"""A key, a `Layer`, a mapping with `name` and options, or a pair of key and options."""


def read_plan(plan: str | Mapping[Any, Entry]) -> dict[Target, Layer]:
    """Layers by target; text is `"layer4=isa, layer3.*.bn2=psa_s"`.

    Raises:
        InputError: An entry that is none of the ways to name a layer.
    """
    if isinstance(plan, str):
        pairs = [part.partition("=") for part in plan.split(",") if part.strip()]
        for target, equals, key in pairs:
            if not (target.strip() and equals and key.strip()):
                raise InputError(
                    f"insert {plan!r}: {target.strip()!r} names no place and layer; write"
                    " 'layer4=psa_s', several parted by commas"
                )
        plan = {target.strip(): key.strip() for target, _, key in pairs}
    if not plan:
        raise InputError("nothing to insert; give places and layers such as {'layer4': 'psa_s'}")
    return {target: _layer(target, entry) for target, entry in plan.items()}


def _layer(target: Any, entry: Any) -> Layer:
    if not isinstance(target, str | type):
        raise InputError(f"place {target!r}: give a name, a pattern, or a module's type")
    if isinstance(entry, Layer):
        return entry
    if isinstance(entry, str):
        return Layer(entry)
    if isinstance(entry, Mapping) and "name" in entry:
        return Layer(str(entry["name"]), **{k: v for k, v in entry.items() if k != "name"})
    if isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[1], Mapping):
        return Layer(str(entry[0]), **entry[1])
    raise InputError(
        f"place {target!r}: give a layer's key such as 'psa_s', or Layer('psa_s', option=...), got"
        f" {entry!r}"
    )
