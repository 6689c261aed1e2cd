"""What a user's own augmentation is called: `file.py:function`."""

import inspect
from typing import Any

from pixelwise.errors import InputError
from pixelwise.kinds import shown

EXAMPLE = "my_augmentation.py:vary"


def spec_of(own: Any) -> str:
    """`file.py:function` from such text, or from a function at the top of a file.

    Raises:
        InputError: Anything else, which a run could not be resumed with.
    """
    if isinstance(own, str):
        file, _, name = own.strip().rpartition(":")
        if not file.endswith(".py") or not name.strip().isidentifier():
            raise InputError(f"augment: own={shown(own)}: must be FILE:FUNCTION; e.g. {EXAMPLE}")
        return f"{file}:{name.strip()}"
    name = getattr(own, "__qualname__", "")
    file = ""
    if callable(own) and name.isidentifier():
        try:
            file = inspect.getsourcefile(own) or ""
        except TypeError:
            file = ""
    if not file.endswith(".py"):
        raise InputError(
            f"augment: own={shown(own)}: must be a function at the top of a file, so that a run can"
            f" go on with it; put it there, or write {EXAMPLE}"
        )
    return f"{file}:{name}"
