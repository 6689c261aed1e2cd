"""What must be the same on all machines: versions, and the files that they see."""

import platform
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from pixelwise.errors import InputError
from pixelwise.release import VERSION


def versions() -> dict[str, str]:
    """What must be the same everywhere, or answers may differ."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"pixelwise": VERSION, "torch": torch.__version__, "python": python}


def greeting(seen: Mapping[Path, int]) -> dict[str, str]:
    """What a worker says when it begins: versions, and where it is.

    Args:
        seen: Files and their sizes, which every machine must see.

    Raises:
        InputError: One is not seen here.
    """
    host = socket.gethostname()
    for path, size in seen.items():
        if not path.is_file() or path.stat().st_size != size:
            raise InputError(
                f"{path}: is not the same file on the machine {host} of the cluster; keep"
                " inputs and runs on a file system that all machines share, under one path"
            )
    return {**versions(), "host": host, "prefix": sys.prefix}
