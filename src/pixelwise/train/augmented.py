"""A picture of what augmentation does: some crops as they are, with each kind, and with all."""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.augmenting.asked import Asked, read_augment
from pixelwise.data.augmenting.chosen import Kinds, check_kinds
from pixelwise.data.augmenting.copy_paste import Rare, rare_classes
from pixelwise.data.augmenting.jpeg import check_jpeg
from pixelwise.data.augmenting.kinds import EXACT, KINDS, OWN
from pixelwise.data.normalise import Normalise, measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.points.source import LabelledFigures
from pixelwise.data.source import LabelledPictures, Source, Split
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.data.survey import values_of
from pixelwise.errors import InputError
from pixelwise.tasks.base import Stream
from pixelwise.tasks.keypoints.stream import PointStream
from pixelwise.tasks.registry import FOR_DATA, task_class

CROPS = 3
SIDE = 224
"""Longest side of a crop that is shown, in pixels: one of the picture is one of the sheet."""
MARGIN, GAP, LEFT = 1.25, 6, 250
COUNTED = 64
"""So many pictures are looked at for rare classes."""
STILL = Augmentation(scale=(1.0, 1.0), flip=False, colour=0.0)


def augmented_sheet(spec: str, augment: str | None) -> ndarray:
    """Rows: crops as they are, each kind alone at full chance, and all together as asked.

    Args:
        spec: The data set.
        augment: What is asked for; None: every kind that suits the data.

    Raises:
        InputError: No such data set, or a kind that does not suit it.
    """
    source = open_data(spec)
    split = source.split("train")
    asked = _suitable(source, split) if augment is None else read_augment(augment) or {}
    check_kinds(asked, source.kind, source)
    drawing = _Drawing(source, split, asked)
    rows = [_row("as they are", "", drawing.panels(STILL))]
    for name, options in asked.items():
        alone = {name: {**options, "chance": 1.0} if name != OWN else options}
        told = KINDS[name].summary.format(**options) if name in KINDS else str(options["call"])
        rows.append(_row(name, told, drawing.panels(drawing.varied(alone))))
    if augment is None:  # it is for those who ask for it
        asked.pop("mixup", None)
    usual = dataclasses.replace(drawing.varied(asked), flip=True, scale=(0.75, 1.5), colour=0.3)
    told = ", ".join(f"{name} {_chance(options)}" for name, options in asked.items())
    rows.append(_row("all together", f"{told}; zoom, flips, colours", drawing.panels(usual)))
    if source.kind in ("classes", "labels"):
        entries = dict(zip(source.classes.names, source.classes.palette, strict=True))
        rows.append(pictures.legend({**entries, "not known": None}, rows[0].shape[1]))
    return pictures.stacked(rows)


def _chance(options: Mapping[str, Any]) -> str:
    return f"{100 * options.get('chance', 1.0):.3g} %"


def _suitable(source: Source, split: Split) -> Asked:
    """Every kind with its defaults, without those that the data do not allow."""
    names = [name for name in KINDS if source.kind != "points" or name in EXACT]
    names = [name for name in names if source.kind != "values" or KINDS[name].values]
    asked = read_augment({name: {} for name in names}) or {}
    try:
        check_jpeg(source.bands, values_of(split)[0])
    except InputError:
        asked.pop("jpeg")
    try:
        _rare(asked, source, split)
    except InputError:
        asked.pop("copy_paste")
    return asked


def _rare(asked: Asked, source: Source, split: Split) -> Rare:
    """The classes that copy_paste pastes, by some of the pictures."""
    if "copy_paste" not in asked:
        return ()
    numbers = [i * len(split) // COUNTED for i in range(COUNTED)]
    counts = np.zeros((len(split), len(source.classes)), np.int64)
    for i in dict.fromkeys(numbers):
        mask = split[i].mask
        for c in range(counts.shape[1]):
            counts[i, c] = int((mask == c).sum() if mask.ndim == 2 else (mask[c] == 1).sum())
    return rare_classes(asked["copy_paste"]["classes"], source.classes.names, counts)


class _Drawing:
    """Draws the first crops of a data set, varied in any way."""

    def __init__(self, source: Source, split: Split, asked: Asked) -> None:
        self.source, self.split = source, split
        mean, std = measure_statistics(split)
        self.unit: dict[str, Any] = {"mean": mean, "std": std, "scale": source.scale}
        self.normalise = Normalise(mean, std, source.scale)
        self.rare = _rare(asked, source, split)
        self.byte = values_of(split)[0] == "uint8"
        height, width = task_class(FOR_DATA[source.kind]).crop(split)
        if source.kind != "points":
            height, width = min(height, SIDE), min(width, SIDE)
        self.crop = height, width

    def varied(self, asked: Asked) -> Augmentation:
        """These kinds, and no others."""
        rare = self.rare if "copy_paste" in asked else ()
        return dataclasses.replace(STILL, kinds=Kinds(asked, rare))

    def panels(self, how: Augmentation) -> Iterator[ndarray]:
        """Crops, each followed by what is known of it."""
        stream = self._stream(how)
        for position in range(CROPS):
            image, target, _ = stream[position]
            shown = self._displayed(image)
            yield from map(_fitted, self._pair(shown, target))

    def _stream(self, how: Augmentation) -> Stream:
        if isinstance(self.split, LabelledFigures):
            return PointStream(
                self.split, self.crop, 0, augmentation=how, margin=MARGIN, **self.unit
            )
        assert isinstance(self.split, LabelledPictures)
        return TrainingStream(self.split, self.crop, 0, augmentation=how, **self.unit)

    def _displayed(self, image: Tensor) -> ndarray:
        raw = self.normalise.undone(image)
        if self.byte:
            raw = raw.round().clamp(0, 255).to(torch.uint8)
        found: ndarray = pictures.displayable(raw)
        return found

    def _pair(self, image: ndarray, target: Tensor) -> tuple[ndarray, ...]:
        palette, ignored = self.source.classes.palette, self.source.classes.ignore_index
        if self.source.kind == "points":
            assert isinstance(self.split, LabelledFigures)
            places = target[:, :2].masked_fill(target[:, 2:] == 0, float("nan")).numpy()
            return (pictures.with_points(image, places, self.split.skeleton.edges),)
        if self.source.kind == "labels":
            unknown = (target == ignored).all(0).numpy()
            return image, pictures.label_overlay(image, (target == 1).numpy(), palette, unknown)
        if self.source.kind == "values":
            known = target[0][target[0].isfinite()]
            ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
            return image, pictures.shaded(
                target[0].numpy(), (ends[0], max(ends[1], ends[0] + 1e-9))
            )
        return image, pictures.overlay(image, target.numpy(), palette, ignore_index=ignored)


def _fitted(panel: ndarray) -> ndarray:
    """As large as a panel of the sheet."""
    zoom = SIDE / max(panel.shape[:2])
    if zoom == 1:
        return panel
    size = (max(1, round(panel.shape[1] * zoom)), max(1, round(panel.shape[0] * zoom)))
    how = Image.Resampling.NEAREST if zoom > 1 else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(panel).resize(size, how))


def _row(name: str, told: str, panels: Iterator[ndarray]) -> ndarray:
    """Panels side by side, behind their name and what it means."""
    found = list(panels)
    height = max(len(panel) for panel in found)
    sheet = Image.new(
        "RGB", (LEFT + sum(p.shape[1] + GAP for p in found), max(height, 110) + GAP), "white"
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((10, 8), name, fill="black", font=ImageFont.load_default(22))
    lines = "\n".join(textwrap.wrap(told, 32))
    draw.multiline_text((10, 42), lines, fill=(80, 80, 80), font=ImageFont.load_default(14))
    left = LEFT
    for panel in found:
        sheet.paste(Image.fromarray(panel), (left, 0))
        left += panel.shape[1] + GAP
    return np.array(sheet)
