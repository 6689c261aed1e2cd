"""Text, tables and names of files, as other programs write them."""

import codecs
import csv
import math
from pathlib import Path

from pixelwise.errors import InputError

FAR = 1e7
"""No picture has so many rows or columns."""
LONGEST = 255
"""Bytes of a file's name."""


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 that begins with its mark.

    Raises:
        InputError: No such file, no text, or nothing in it.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file}: cannot be read ({reason}); check the path") from None
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: not text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
    if not text.strip():
        raise InputError(f"{file}: is empty; give a file with labelled points")
    return text


def read_rows(file: Path, text: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of a table with commas, semicolons or tabs; empty rows are left out.

    Raises:
        InputError: Not a table.
    """
    first = next(line for line in text.splitlines() if line.strip())
    separator = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    rows = []
    try:
        for cells in reader:
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed):
                rows.append((reader.line_num, trimmed))
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.line_num}: {error}; save it as CSV") from None
    return rows


def number(cell: str, where: str) -> float:
    """A number of a table, with a decimal point or comma; NaN for an empty cell.

    Raises:
        InputError: No number, or one that no picture has.
    """
    if cell.lower() in {"", "nan", "na", "null", "none"}:
        return math.nan
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        raise InputError(
            f"{where}: {cell!r} is no number; write a number, or nothing for a missing point"
        ) from None
    if not abs(value) < FAR:
        raise InputError(f"{where}: {cell} is no place in a picture; write pixels")
    return value


def picture_path(name: object, where: str) -> Path:
    """The picture that a file of labels names, whatever slashes it has.

    Raises:
        InputError: There is no name.
    """
    text = str(name).strip().replace("\\", "/") if isinstance(name, str) else ""
    longest = max(len(part.encode(errors="replace")) for part in text.split("/"))
    lone = any("\ud800" <= letter <= "\udfff" for letter in text)
    if not text.isprintable() and len(text.splitlines()) > 1:
        raise InputError(f"{where}: the name of the picture has several lines; close its quotes")
    if not Path(text).name or "\0" in text or lone or not longest <= LONGEST:
        raise InputError(f"{where}: names no picture; write the name of its file")
    return Path(text)
