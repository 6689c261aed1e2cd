"""An exported network in fewer bits, with what is lost and won: scores, time and size."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.data.opening import open_data
from pixelwise.data.source import Source
from pixelwise.evaluating.fitting import check_fit
from pixelwise.evaluating.request import Voice
from pixelwise.export.exported import ExportedFile, open_exported
from pixelwise.export.exporting import SAVING
from pixelwise.export.metadata import check_replaceable
from pixelwise.export.quantizing import halve, note, quantize
from pixelwise.language import translate
from pixelwise.predict.evaluation import evaluate
from pixelwise.predict.fixed import extended, predictor_of
from pixelwise.tasks.base import Items, Result

CALIBRATION = 64
"""Pictures that ranges are measured on, spread over those for training."""
TIMED, ROUNDS = 6, 3
WINDOW = 1024
LOSS = 0.01
"""A smaller score is worth a word."""


@dataclass(frozen=True)
class Measured:
    """A file and how good and fast it is.

    Args:
        form: float32, half or int8.
        path: The file.
        size: Bytes.
        result: Its scores on val, where there are data.
        seconds: Per picture, the median.
    """

    form: str
    path: Path
    size: int
    result: Result | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        told = [f"{self.form:8}"]
        if self.result is not None:
            told.append(self.result.line())
        if self.seconds is not None:
            told.append(
                translate("{seconds:.0f} ms per picture").format(seconds=1000 * self.seconds)
            )
        return "  ".join([*told, f"{self.size / 1e6:.1f} MB"])

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        scores = {} if self.result is None else dict(self.result.numbers())
        return {"bytes": self.size, "seconds": self.seconds, "scores": scores}


@dataclass(frozen=True)
class Lowered:
    """A file in fewer bits, beside the one that it is from."""

    before: Measured
    after: Measured
    ratio: float | None = None
    """How many times as fast, from pictures that were timed in turn."""

    def __str__(self) -> str:
        told = [str(self.before), str(self.after)]
        if self.ratio is not None:
            told.append(
                translate("{form} takes {ratio:.2f} times as long as float32").format(
                    form=self.after.form, ratio=1 / self.ratio
                )
            )
        return "\n".join(told)

    @property
    def loss(self) -> float:
        """By how much the score is smaller, in parts of it."""
        if self.before.result is None or self.after.result is None:
            return 0.0
        best = self.before.result.best
        return (best - self.after.result.best) / abs(best) if best else 0.0


def name_of(path: Path, form: str) -> Path:
    """The file in fewer bits beside another."""
    return path.with_name(f"{path.stem}_{form}{path.suffix}")


def lower(path: Path, form: str, data: str | None, voice: Voice) -> Lowered:
    """Write an exported file in fewer bits beside it, and measure both.

    Args:
        path: An ONNX file that `pixelwise export` wrote.
        form: half or int8.
        data: The data set; its training pictures give the ranges for int8, those of val are scored.
        voice: Is told what is being done.

    Raises:
        InputError: The data are not for the network, or the file cannot be converted.
    """
    target = name_of(path, form)
    check_replaceable(target)
    before = open_exported(path)
    source = None if data is None else open_data(data)
    if source is not None:
        check_fit(before, source, str(path))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=SAVING) as hidden:
        made = Path(hidden) / target.name
        used = 0
        if form == "half":
            halve(path, made)
        else:
            assert source is not None
            items = _items(before, source, "train")
            used = min(len(items), CALIBRATION)
            voice.say(
                translate("ranges     measured on {used} pictures for training").format(used=used)
            )
            quantize(path, made, _batches(before, items, voice))
        found = _measured(before, path, open_exported(made), made, form, source, voice)
        told = {"precision": form, "data": data, "calibration_pictures": used}
        about = {"before": found.before.plain(), "after": found.after.plain()}
        note(made, {**told, **about, "ratio": found.ratio})
        made.replace(target)
    return replace(found, after=replace(found.after, path=target))


def _measured(
    before: ExportedFile,
    old: Path,
    after: ExportedFile,
    new: Path,
    form: str,
    source: Source | None,
    voice: Voice,
) -> Lowered:
    if source is None:
        plain = (Measured("float32", old, _size(old)), Measured(form, new, _size(new)))
        return Lowered(*plain)
    items = _items(before, source, "val")
    first, second, ratio = timed(before, after, _chosen(items, TIMED))
    each = []
    for name, file, model, seconds in (
        ("float32", old, before, first),
        (form, new, after, second),
    ):
        result = _scores(model, items, translate("scoring {name}").format(name=name), voice)
        each.append(Measured(name, file, _size(file), result, seconds))
    return Lowered(each[0], each[1], ratio)


def _scores(model: ExportedFile, items: Items, what: str, voice: Voice) -> Result:
    def seen(index: int, answer: Tensor, target: Tensor) -> None:
        voice.busy(what, index + 1, len(items))

    return evaluate(model, items, window=WINDOW, on_picture=seen)


@torch.no_grad()
def timed(first: Any, second: Any, images: list[Tensor]) -> tuple[float, float, float]:
    """Median seconds per picture of both, and how many times as fast the second is.

    Both see each picture in turn, so that what else the machine does falls on both.
    """
    runs = [predictor_of(first), predictor_of(second)]
    for run in runs:
        run(images[0][None])
    spent: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for image in images:
            for run, seconds in zip(runs, spent, strict=True):
                begun = time.perf_counter()
                run(image[None])
                seconds.append(time.perf_counter() - begun)
    one, other = (statistics.median(seconds) for seconds in spent)
    return one, other, one / other


def _items(model: ExportedFile, source: Source, split: str) -> Items:
    config = model.config
    return model.task.evaluation_set(
        source.split(split), mean=config.mean, std=config.std, scale=config.scale
    )


def _numbers(count: int, most: int) -> list[int]:
    """So many of 0, 1, ... count - 1, spread evenly."""
    most = min(count, most)
    return [number * count // most for number in range(most)]


def _chosen(items: Items, most: int) -> list[Tensor]:
    return [items[number][0] for number in _numbers(len(items), most)]


def _batches(model: ExportedFile, items: Items, voice: Voice) -> Iterator[Tensor]:
    """Pictures as the file takes them; of large ones the middle."""
    numbers = _numbers(len(items), CALIBRATION)
    for done, number in enumerate(numbers, start=1):
        image = items[number][0]
        size = model.fixed_size or (WINDOW, WINDOW)
        if model.fixed_size is not None:
            image = extended(image, size)
        top, left = (max(0, s - w) // 2 for s, w in zip(image.shape[1:], size, strict=True))
        image = image[:, top : top + size[0], left : left + size[1]]
        yield model.values(image[None])
        voice.busy("measuring ranges", done, len(numbers))


def _size(path: Path) -> int:
    return path.stat().st_size
