"""A bound for the weights of pairs that exist at a time.

Layers that compare pixels with pixels compute the weights of a block of pairs at a time; a module
with an attribute `max_memory` reads there how many bytes one block, with what its backward needs
beside it, may take. None leaves it to the rules of `ops.blocks`. The maps themselves come on top:
`cost.predict` tells the whole.
"""

import re

from torch import nn

from pixelwise.errors import InputError

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(value: int | str) -> int:
    """`"2GB"`, `"500 MB"`, `"1.5GiB"` or a number of bytes -> bytes.

    Raises:
        InputError: It is no amount of memory above zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?I?B?)", str(value).strip().upper())
    count = float(found[1]) * UNITS.get(found[2], 0) if found else 0.0
    if isinstance(value, bool) or count < 1:
        raise InputError(f"max_memory={value!r}: must be bytes above zero; e.g. 2000000 or '2GB'")
    return int(count)


def limit_memory(module: nn.Module, max_memory: int | str | None) -> None:
    """Bound the weights of pairs of every layer in `module` that has such; None: no bound.

    Raises:
        InputError: It is no amount of memory, or no layer in `module` keeps weights of pairs.
    """
    limit = None if max_memory is None else parse_bytes(max_memory)
    pairwise = [part for part in module.modules() if hasattr(part, "max_memory")]
    if limit is not None and not pairwise:
        raise InputError(
            f"max_memory={max_memory!r}: {type(module).__name__} has no layer that keeps weights "
            "of pairs of pixels, so there is nothing to bound; leave it out"
        )
    for part in pairwise:
        part.max_memory = limit  # type: ignore[assignment]
