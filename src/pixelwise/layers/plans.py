"""What somebody asks for: a plan in the grammar of `placement`, with the one key of each layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from pixelwise.layers.placement import Placement, parse


def read_plan(
    spec: str | Mapping[Any, Any] | None, name: str, *, default: Sequence[str] = ()
) -> tuple[Placement, ...]:
    """As `placement.parse`, with keys in place of the names that were typed.

    Raises:
        InputError: It is no plan, or a layer does not exist or cannot be told by its name alone.
    """
    from pixelwise.layers.registry import asked  # settings are read before torch is loaded

    found = parse(spec, name, default=default)
    return tuple(one._replace(key=asked(one.key, name)) for one in found)
