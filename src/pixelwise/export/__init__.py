"""Files that other programs run, each compared with the network before it is kept.

`pixelwise.export(model, "network.onnx")` is `exporting.export`: the room is called as its door is.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that can be called."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from pixelwise.export.exporting import export

        return export(*args, **options)


sys.modules[__name__].__class__ = _Room
