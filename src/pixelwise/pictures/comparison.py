"""Truth and predictions beside a picture, with labels and a legend."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixelwise.data.classes import Colour
from pixelwise.pictures.colours import IGNORED
from pixelwise.pictures.masks import coloured, stripes
from pixelwise.pictures.types import Mask, Picture, Sheet

_PANEL = 480  # longest side of a panel in a comparison, pixels
_TEXT = 22  # height of labels in a comparison, pixels


def side_by_side(panels: Mapping[str, Sheet]) -> Sheet:
    """Pictures of one height in a row on white, each below its label."""
    gap, top = 8, _TEXT + 12
    height = max(len(panel) for panel in panels.values())
    width = sum(panel.shape[1] + gap for panel in panels.values()) - gap
    sheet = Image.new("RGB", (width, top + height), "white")
    draw, left = ImageDraw.Draw(sheet), 0
    for label, panel in panels.items():
        draw.text((left + 2, 4), label, fill="black", font=ImageFont.load_default(_TEXT))
        sheet.paste(Image.fromarray(panel), (left, top))
        left += panel.shape[1] + gap
    return np.array(sheet)


def legend(entries: Mapping[str, Colour | None], width: int) -> Sheet:
    """A strip of swatches and names on white, wrapped to `width` pixels.

    Args:
        entries: Colour of each name; None is striped grey, for pixels that do not count.
        width: Pixels.
    """
    font, line, places = ImageFont.load_default(_TEXT), _TEXT + 12, []
    left, top = 0, 0
    for name in entries:
        length = line + round(font.getlength(name)) + 24
        if left and left + length > width:
            left, top = 0, top + line
        places.append((left, top))
        left += length
    strip = Image.new("RGB", (width, top + line + 6), "white")
    draw = ImageDraw.Draw(strip)
    for (name, colour), (x, y) in zip(entries.items(), places, strict=True):
        frame = (x + 1, y + 8, x + _TEXT + 1, y + 8 + _TEXT)
        draw.rectangle(frame, fill=colour or IGNORED, outline="black")
        if colour is None:
            pattern = Image.fromarray(stripes((_TEXT - 1, _TEXT - 1)))
            draw.bitmap((x + 2, y + 9), pattern, fill="white")
        draw.text((x + line - 2, y + 6), name, fill="black", font=font)
    return np.array(strip)


def comparison(
    image: Picture,
    truth: Mask,
    predictions: Mapping[str, Mask],
    names: Sequence[str],
    palette: Sequence[Colour],
    *,
    ignore_index: int = 255,
) -> Sheet:
    """Picture, truth and each prediction side by side, with the legend of the classes in them."""
    masks = {"truth": truth, **predictions}
    scale = _PANEL / max(truth.shape)
    scale = int(scale) if scale >= 1 else scale
    height, width = (max(1, round(n * scale)) for n in truth.shape)
    rows = np.arange(height) * len(truth) // height
    columns = np.arange(width) * truth.shape[1] // width
    smooth = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    panels = {"picture": np.array(Image.fromarray(image).resize((width, height), smooth))}
    for label, mask in masks.items():
        panels[label] = coloured(mask[rows][:, columns], palette, ignore_index=ignore_index)
    present = np.unique(np.concatenate([np.unique(mask) for mask in masks.values()]))
    entries: dict[str, Colour | None] = {}
    for value in present.tolist():
        counted = value != ignore_index
        entries[f"{value} {names[value]}" if counted else "not counted"] = (
            palette[value] if counted else None
        )
    row = side_by_side(panels)
    return np.concatenate([row, legend(entries, row.shape[1])])


def triptych(
    image: Picture,
    truth: Mask,
    prediction: Mask,
    names: Sequence[str],
    palette: Sequence[Colour],
    *,
    ignore_index: int = 255,
) -> Sheet:
    """Picture, truth and prediction side by side, with the legend of the classes in them."""
    predictions = {"prediction": prediction}
    return comparison(image, truth, predictions, names, palette, ignore_index=ignore_index)
