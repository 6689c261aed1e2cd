"""ONNX Runtime Web as it is shipped here, and the licence that it comes under."""

import hashlib
import json
import lzma
from pathlib import Path

from pixelwise.errors import InputError

FOLDER = Path(__file__).parents[1] / "runtime"
LIST = FOLDER / "runtime.json"
"""Its version, and the sum of every file before it was compressed."""


def version() -> str:
    """Of ONNX Runtime Web."""
    return str(json.loads(LIST.read_text(encoding="utf-8"))["version"])


def runtime_file(name: str) -> bytes:
    """A file of ONNX Runtime Web, as its maker published it.

    Raises:
        InputError: It is not there, or is not what it was.
    """
    path = FOLDER / f"{name}.xz"
    known = json.loads(LIST.read_text(encoding="utf-8"))["sha256"]
    try:
        found = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be read ({error}); install pixelwise again") from error
    if hashlib.sha256(found).hexdigest() != known[name]:
        raise InputError(f"{path}: is not the file that was shipped; install pixelwise again")
    return found


def licence() -> str:
    """Under which it may be passed on."""
    return (FOLDER / "LICENSE.txt").read_text(encoding="utf-8")
