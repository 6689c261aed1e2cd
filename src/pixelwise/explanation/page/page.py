"""Explanations as a page (one file that works offline) or as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.errors import InputError
from pixelwise.explanation.page.drawing import draw_maps
from pixelwise.explanation.page.sections import section
from pixelwise.explanation.result import Findings
from pixelwise.pictures import png, write_bytes
from pixelwise.report import Report, Section, render

SUMMARY = """Each section asks about one pixel, marked by a cross: which class the network sees
there, and where each attention layer looks to say so."""
READING = """"This pixel's weights" belong to the marked pixel alone: bright places send it much.
They are multiples of uniform weights, so 1 is what every place would get if the layer looked
everywhere alike. Places without a tint get nothing. "Shared by all pixels" are gates or weights
that do not depend on the pixel: the layer passes more on from bright places, whoever asks. Channel
gates have no place at all; they say which features count in this picture. Colours end at the 99.5th
percentile of a map; an arrow at the end of its bar says that some values lie beyond.

A map shows what a layer weighed, not yet what decided the answer. The check does: patches of the
picture get its mean colour, the most attended first, and the probability of the answer is measured;
the marked pixel's own surroundings stay. A map that tells what matters takes it down faster than
random orders do."""


def save(explanations: Sequence[Findings], path: Path) -> Path:
    """Write a page (`.html`) or the maps alone (`.png`), whole or not at all.

    Several explanations are sections of the page, or lie one below the other in the picture.

    Raises:
        InputError: Another suffix, no explanation, or a path that cannot be written.
    """
    if not explanations:
        raise InputError(f"{path}: no explanation to write; ask for one pixel at least")
    match path.suffix.lower():
        case ".html":
            content = render(_report(explanations)).encode()
        case ".png":
            content = _stacked([draw_maps(found, found.maps) for found in explanations])
        case other:
            raise InputError(
                f"{path}: ends in {other!r}; an explanation is written as .html or .png"
            )
    write_bytes(path, content)
    return path


def _stacked(drawings: Sequence[bytes]) -> bytes:
    if len(drawings) == 1:
        return drawings[0]
    sheets = [np.asarray(Image.open(io.BytesIO(d)).convert("RGB")) for d in drawings]
    width = max(sheet.shape[1] for sheet in sheets)
    pads = [((0, 0), (0, width - sheet.shape[1]), (0, 0)) for sheet in sheets]
    padded = [np.pad(*pair, constant_values=255) for pair in zip(sheets, pads, strict=True)]
    return png(np.concatenate(padded))


def _report(explanations: Sequence[Findings]) -> Report:
    first = explanations[0]
    sections = [section(first, first.maps)]
    for found in explanations[1:]:
        same = np.array_equal(found.picture, first.picture)
        own = [m for m in found.maps if m.kind == "pixel"] if same else list(found.maps)
        above = "Gates and weights that all pixels share are drawn in the first section."
        sections.append(section(found, own, above if len(own) < len(found.maps) else ""))
    height, width = first.picture.shape[:2]
    seconds = sum(found.seconds for found in explanations)
    asked = "1 pixel" if len(explanations) == 1 else f"{len(explanations)} pixels"
    return Report(
        "Where the network looks",
        SUMMARY,
        sections=(Section("How to read this page", READING), *sections),
        footer=f"{asked} of a picture of {width}x{height}, {seconds:.1f} s",
    )
