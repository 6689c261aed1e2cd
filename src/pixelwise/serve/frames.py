"""Numbers and arrays in one answer: a head of JSON, and the arrays behind it.

    uint32 LE   length n of the head
    n bytes     JSON, filled up with spaces so that 4 + n is a multiple of 8
    arrays      one after the other, each from a multiple of 8 on

In the head an array stands as `{"array": type, "offset": bytes behind the head, "length": count}`.
"""

import json
import struct
from typing import Any

import numpy as np

STEP = 8
TYPES = frozenset({"uint8", "uint16", "float32"})


def frame(content: Any) -> bytes:
    """Pack a tree of lists and mappings, whose numpy arrays go behind the head."""
    arrays: list[bytes] = []
    length = 0

    def packed(value: Any) -> Any:
        nonlocal length
        if isinstance(value, np.ndarray):
            name = value.dtype.name
            assert name in TYPES, name
            data = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()
            data += bytes(-len(data) % STEP)
            place = {"array": name, "offset": length, "length": value.size}
            arrays.append(data)
            length += len(data)
            return place
        if isinstance(value, dict):
            return {key: packed(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [packed(one) for one in value]
        return value

    head = json.dumps(packed(content), ensure_ascii=False, allow_nan=False).encode()
    head += b" " * (-(4 + len(head)) % STEP)
    return b"".join([struct.pack("<I", len(head)), head, *arrays])
