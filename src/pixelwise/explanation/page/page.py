"""Explanations as a page (one file that works offline) or as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.errors import InputError
from pixelwise.explanation.page.drawing import draw_maps
from pixelwise.explanation.page.sections import section
from pixelwise.explanation.page.svg import STYLE, cross, embedded, stored
from pixelwise.explanation.page.tints import legend
from pixelwise.explanation.result import Findings
from pixelwise.language import mark, translate
from pixelwise.pictures import png, write_bytes
from pixelwise.report import Markup, Report, Section, render

SUMMARY = mark(
    "Each section asks about one pixel, marked by a cross: which class the"
    " network sees\n"
    "there, and where each attention layer looks to say so."
)
SUMMARY_WITHOUT = mark(
    "Each section asks about one pixel, marked by a cross: which class the"
    " network\n"
    "sees there, and what that depends on. The network used no attention"
    " that could be shown, and what is\n"
    "shown is none."
)
READING = mark(
    '"This pixel\'s weights" belong to the marked pixel alone: bright places'
    " send it much.\n"
    "They are multiples of uniform weights, so 1 is what every place would"
    " get if the layer looked\n"
    'everywhere alike. Places without a tint get nothing. "Shared by all'
    ' pixels" are gates or weights\n'
    "that do not depend on the pixel: the layer passes more on from bright"
    " places, whoever asks. Channel\n"
    "gates have no place at all; they say which features count in this"
    " picture. Heads are folded below\n"
    "the mean of them all. Colours end at the 99.5th percentile of a map,"
    " and each map has its own: the\n"
    "lines below it say where they begin and end, and where the largest"
    " value lies.\n"
    "\n"
    "A map shows what a layer weighed, not yet what decided the answer. The"
    " check does: patches of the\n"
    "picture get its mean colour, the most attended first, and the"
    " probability of the answer is measured;\n"
    "the marked pixel's own surroundings stay. A map that tells what matters"
    " takes it down faster than\n"
    "random orders do."
)
READING_WITHOUT = mark(
    "The effective receptive field is where a change of the picture would"
    " change the\n"
    "answer at the marked pixel, and how much, by the gradient; a half of"
    " the influence and nine tenths\n"
    "of it lie within the circles, where there are some. The gradient map"
    " says which features speak for a\n"
    "class, the occlusion map by how much its probability falls as a patch"
    " of the picture is covered.\n"
    "Colours end at the 99.5th percentile of a map, and each map has its"
    " own: the lines below it say\n"
    "where they begin and end, and where the largest value lies."
)


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
    pictures: list[Findings] = []
    sections, kept = [], [f"<style>{STYLE}</style>"]
    for number, found in enumerate(explanations):
        known = (i for i, one in enumerate(pictures) if np.array_equal(one.picture, found.picture))
        place = next(known, len(pictures))
        own, above = list(found.maps), ""
        if place == len(pictures):
            pictures.append(found)
            kept.append(stored(f"p{place}", found.picture))
        else:
            own = [one for one in found.maps if one.kind == "pixel"]
        if len(own) < len(found.maps):
            above = translate(
                "Gates and weights that all pixels share are drawn in the first section."
            )
        kept.append(cross(f"q{number}", found.at, found.picture.shape[:2]))
        sections.append(section(found, own, f"p{place}", f"q{number}", above))
    height, width = first.picture.shape[:2]
    seconds = sum(found.seconds for found in explanations)
    asked = (
        translate("1 pixel")
        if len(explanations) == 1
        else translate("{explanations} pixels").format(explanations=len(explanations))
    )
    attended = any(found.maps for found in explanations)
    reading = translate(READING if attended else READING_WITHOUT)
    store = f'{kept[0]}<svg class="store" aria-hidden="true">{"".join(kept[1:])}</svg>'
    return Report(
        translate("Where the network looks")
        if attended
        else translate("What the network's answer depends on"),
        translate(SUMMARY if attended else SUMMARY_WITHOUT),
        sections=(
            Section(
                translate("How to read this page"),
                reading,
                (Markup(store + _scales(explanations)),),
            ),
            *sections,
        ),
        footer=translate("{asked} of a picture of {width}x{height}, {seconds:.1f} s").format(
            asked=asked, width=width, height=height, seconds=seconds
        ),
    )


def _scales(explanations: Sequence[Findings]) -> str:
    """The colours of the maps, once for all of them."""
    held = [one.spatial for found in explanations for one in found.maps if one.spatial is not None]
    held += [one.values for found in explanations for one in found.class_maps]
    entries = [(False, translate("from 0, or the lowest value, to the end of a map's colours"))]
    if any(values.min() < 0 for values in held):
        entries.append((True, translate("values of both signs: below 0, 0 in the middle, above 0")))
    about = translate("colours of maps")
    shown = "".join(
        f'<div><dt><img alt="{about}" src="{embedded(legend(signed))}"></dt><dd>{text}</dd></div>'
        for signed, text in entries
    )
    return f'<dl class="scale">{shown}</dl>'
