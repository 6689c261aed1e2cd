"""PyAV, which reads and writes clips."""

from collections.abc import Mapping
from typing import Any

from pixelwise.errors import InputError

FOUND = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp"}
)
"""Suffixes of the clips in a folder."""
CLIP_SUFFIXES = FOUND | {
    ".gif", ".apng", ".ts", ".mts", ".m2ts", ".flv", ".ogv", ".vob", ".mxf", ".y4m", ".mjpeg",
    ".h264", ".hevc", ".264", ".265",
}  # fmt: skip
"""Suffixes of files that are clips where they are named; folders hold other files of these."""

H264 = ("libx264", "libopenh264", "mpeg4")
VPX = ("libvpx-vp9", "libvpx")
FORMATS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ".mp4": ("mp4", H264),
    ".m4v": ("mp4", H264),
    ".mov": ("mov", H264),
    ".mkv": ("matroska", H264),
    ".webm": ("webm", VPX),
}
"""Suffix -> format, and its encoders, the best first: not every FFmpeg has all."""


def is_installed() -> bool:
    """Whether clips can be read at all."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def library(name: object) -> Any:
    """PyAV.

    Args:
        name: What it is needed for, for the message.

    Raises:
        InputError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"{name}: PyAV is needed for clips; pip install 'pixelwise[video]'"
        ) from error
    return av
