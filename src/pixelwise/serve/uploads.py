"""The body of a request into a file: never more than is allowed, and never for longer."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

MOST_BYTES = 64 * 2**20
PAUSE = 15.0
"""Seconds between two parts of a body."""
WHOLE = 120.0
"""Seconds for all of it."""
LONGEST_NAME = 80


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: Of HTTP.
        line: Why, and what to do.
    """

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


async def received(parts: AsyncIterator[bytes], length: str | None, most: int) -> bytes:
    """The body, of `most` bytes at most.

    Raises:
        Refused: It is too large, empty, or comes too slowly.
    """
    if length is not None and (not length.isdecimal() or int(length[:15]) > most):
        raise _too_large(most)
    found = bytearray()
    try:
        async with asyncio.timeout(WHOLE):
            while True:
                part = await asyncio.wait_for(anext(parts, None), PAUSE)
                if part is None:
                    break
                found += part
                if len(found) > most:
                    raise _too_large(most)
    except TimeoutError:
        raise Refused(408, "body: came too slowly; send it again") from None
    if not found:
        raise Refused(400, "body: is empty; send a picture")
    return bytes(found)


def _too_large(most: int) -> Refused:
    return Refused(413, f"body: may have {most / 2**20:g} MB; send a smaller file")


def plain_name(told: str | None) -> str:
    """A name for people and for new files out of what a browser says: no path, no control signs."""
    text = unquote(told or "", errors="replace")[:1000].replace("\\", "/").rpartition("/")[2]
    text = "".join(c if c.isprintable() else "_" for c in text).strip(" .")
    return text[:LONGEST_NAME] or "picture"


def plain_stem(name: str) -> str:
    """The beginning of a new file's name: letters of any language, digits, `-` and `_`."""
    stem = re.sub(r"[^\w-]+", "_", Path(name).stem).strip("_")
    while len(stem.encode()) > 2 * LONGEST_NAME:
        stem = stem[:-1]
    return stem or "picture"
