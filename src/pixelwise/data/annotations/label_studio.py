"""Label Studio: a JSON with a list of tasks; polygons in percent, brushes as packed runs."""

import math
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from jaxtyping import UInt8

from pixelwise.data.annotations.shapes import Drawing, Drawn, Region, Runs, Shape, ring
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.errors import InputError

UPLOADED = re.compile(r"^[0-9a-f]{8}-(.+)$")
"""What the tool writes before the name of a picture that was uploaded."""
CORNERS = 720
"""Of the polygon that stands for an ellipse."""
MOST = 4 * 10**9
"""Numbers of a brush: four per pixel."""


def is_label_studio(content: object) -> bool:
    """Whether a JSON is one of Label Studio."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in content)
    )


def read_label_studio(file: Path, tasks: list[dict[str, Any]]) -> Drawn:
    """The regions of each task that has an annotation.

    Raises:
        InputError: No picture in a task, several annotations of one, or a wrong region.
    """
    drawn = Drawn(file, "Label Studio")
    labels: set[str] = set()
    for number, task in enumerate(tasks):
        where = f"{file}: task {task.get('id', number)}"
        names = _names(task["data"], where)
        annotation = _annotation(task, where)
        if annotation is None:
            drawn.leave_out("of pictures that nobody has labelled", where)
            continue
        shapes, sizes = [], set()
        for region in annotation:
            kind, value = region.get("type"), region.get("value")
            if not isinstance(kind, str) or not isinstance(value, dict):
                drawn.leave_out("that are no regions", where)
                continue
            words = value.get(kind)
            if not isinstance(words, list) or not words:
                drawn.leave_out("without a label", where)
                continue
            if len(words) > 1:
                raise InputError(f"{where}: a region has labels {words}; keep one")
            size = _size(region, where)
            sizes.add(size)
            if regions := _regions(drawn, kind, value, size, where):
                shapes.append(Shape(str(words[0]).strip(), regions))
                labels.add(str(words[0]).strip())
        if len(sizes) > 1:
            raise InputError(f"{where}: its regions state different sizes; export it again")
        drawn.drawings.append(Drawing(names, tuple(shapes), sizes.pop() if sizes else None, where))
    drawn.labels = tuple(sorted(labels))
    return drawn


def unpack(data: UInt8[np.ndarray, " n"], where: str) -> UInt8[np.ndarray, " m"]:
    """The numbers of a brush: runs of equal ones, and stretches that are written out.

    Bits in a row: 32 for how many there are; 5 for the bits of one (less 1); four times 4 for the
    bits of a run's length (less 1); then per run one bit that says whether it is of equal numbers,
    two that choose its bits of length, the length less 1, and one number, or all of them.

    Raises:
        InputError: It ends too early, or runs go beyond the end.
    """
    bits = np.unpackbits(data)
    at = 0

    def read(count: int) -> int:
        nonlocal at
        if at + count > len(bits):
            raise InputError(f"{where}: its brush is cut off; export it again")
        found = int("".join(map(str, bits[at : at + count].tolist())), 2)
        at += count
        return found

    total, word = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if total > MOST or word > 8:
        raise InputError(f"{where}: its brush is damaged; export it again")
    out = np.zeros(total, np.uint8)
    i = 0
    while i < total:
        equal = read(1)
        end = i + 1 + read(lengths[read(2)])
        if end > total:
            raise InputError(f"{where}: its brush is damaged; export it again")
        if equal:
            out[i:end] = read(word)
        else:
            count = (end - i) * word
            if at + count > len(bits):
                raise InputError(f"{where}: its brush is cut off; export it again")
            each = bits[at : at + count].reshape(-1, word)
            out[i:end] = each @ (1 << np.arange(word)[::-1])
            at += count
        i = end
    return out


def _regions(
    drawn: Drawn, kind: str, value: dict[str, Any], size: tuple[int, int], where: str
) -> tuple[Region, ...]:
    height, width = size
    percent = np.array([width, height]) / 100
    if kind == "polygonlabels":
        return drawn.polygon(ring(value.get("points"), where) * percent, where)
    if kind == "brushlabels":
        return _brush(drawn, value, size, where)
    if kind not in ("rectanglelabels", "ellipselabels"):
        drawn.leave_out("that are neither polygons nor brushes", where)
        return ()
    turn = math.radians(ring([value.get("rotation") or 0, 0], where)[0, 0])
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    ((x, y),) = ring([[value.get("x"), value.get("y")]], where) * percent
    keys = ("width", "height") if kind == "rectanglelabels" else ("radiusX", "radiusY")
    ((a, b),) = ring([[value.get(key) for key in keys]], where) * percent
    if kind == "rectanglelabels":
        outline = np.array([(0, 0), (a, 0), (a, b), (0, b)])
    else:
        angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        outline = np.stack([a * np.cos(angles), b * np.sin(angles)], 1)
    return drawn.polygon(outline @ turned + (x, y), where)


def _brush(
    drawn: Drawn, value: dict[str, Any], size: tuple[int, int], where: str
) -> tuple[Region, ...]:
    if value.get("format") != "rle" or not isinstance(value.get("rle"), list):
        raise InputError(f"{where}: its brush is not of format rle; export it again as JSON")
    try:
        packed = np.array(value["rle"], np.uint8)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: its brush is damaged; export it again") from None
    numbers = unpack(packed, where)
    if len(numbers) != 4 * size[0] * size[1]:
        raise InputError(
            f"{where}: its brush has {len(numbers) // 4} pixels, its picture {size[0]} x {size[1]}"
            " (height x width); export it again"
        )
    inside = numbers[3::4] > 0
    edges = np.flatnonzero(np.diff(inside)) + 1
    lengths = np.diff([0, *([0] if inside[:1].any() else []), *edges, len(inside)])
    found = Runs(size, lengths.astype(np.int64), down=False)
    if not found.area:
        drawn.leave_out("without area", where)
        return ()
    return (found,)


def _size(region: dict[str, Any], where: str) -> tuple[int, int]:
    height, width = region.get("original_height"), region.get("original_width")
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        raise InputError(f"{where}: a region states no size of its picture; export it again")
    if region.get("image_rotation"):
        raise InputError(
            f"{where}: its picture was turned in the tool; turn it back, or turn the file"
        )
    return height, width


def _annotation(task: dict[str, Any], where: str) -> list[dict[str, Any]] | None:
    told = task.get("annotations") or task.get("completions") or []
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise InputError(f"{where}: annotations must be a list; export it again as JSON")
    found = [one for one in told if not one.get("was_cancelled")]
    true = [one for one in found if one.get("ground_truth")]
    found = true if len(true) == 1 else found
    if len(found) > 1:
        raise InputError(
            f"{where}: has {len(found)} annotations; keep one, or mark one as ground truth"
        )
    if not found:
        return None
    result = found[0].get("result")
    if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
        raise InputError(f"{where}: has no list 'result'; export it as JSON, not as JSON-MIN")
    return result


def _names(data: dict[str, Any], where: str) -> tuple[Path, ...]:
    for text in (data.get("image"), *data.values()):
        if not isinstance(text, str):
            continue
        parts = urlsplit(text.replace("\\", "/"))
        told = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
        path = PurePosixPath(told.lstrip("/"))
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        uploaded = UPLOADED.match(path.name)
        names = [Path(path)] + ([Path(uploaded[1])] if uploaded else [])
        return tuple(names)
    raise InputError(f"{where}: names no picture; give its file in data")
