"""Memory that was freed, kept by the process for what comes next.

glibc gives large blocks back to the system when they are freed, and asks for fresh ones. The system
fills each fresh page with zeros when it is first touched, which takes as long as a pass over the
map. A training step makes and frees the same maps again and again; with blocks that are kept it
touches no fresh page. `studies/fresh_pages.py` measures what that saves.
"""

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's `mallopt`."""
_CHOSEN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_")
"""What somebody sets who decides it."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for the next step of a training.

    Only glibc, the C library of most Linux systems, is told so. Nothing is done where
    `PIXELWISE_KEEP_MEMORY=off` is in the environment, or `MALLOC_MMAP_THRESHOLD_`,
    `MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_MAX_` or a setting of malloc in `GLIBC_TUNABLES`. It
    holds for the whole process, and until its end: what the process once needed, it keeps.

    Returns:
        Whether it was done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    here = os.environ
    chosen = any(name in here for name in _CHOSEN) or "malloc" in here.get("GLIBC_TUNABLES", "")
    if chosen or here.get("PIXELWISE_KEEP_MEMORY") == "off":
        return False
    try:
        library = ctypes.CDLL(None)
        done = library.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
        return bool(done and library.mallopt(_MMAP_THRESHOLD, 1 << 30))
    except (OSError, AttributeError):
        return False
