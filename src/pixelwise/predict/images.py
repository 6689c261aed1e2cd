"""Picture files in; out, by the task, masks, values or points, and pictures for people."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from pixelwise.data import reading
from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.data.fitting import Expected
from pixelwise.data.listing import is_hidden
from pixelwise.data.missing import filled
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.data.regions import Box, Region, Regions, read_regions
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.outputs import Outputs
from pixelwise.pictures import displayable
from pixelwise.predict.fixed import predictor_of
from pixelwise.predict.views import WHOLE, Views
from pixelwise.predict.windows import predict_bands
from pixelwise.predict.writing import Writing, written
from pixelwise.tasks.base import Task

TOGETHER = 16
"""Boxes of a picture that go through the network at once."""


@dataclass(frozen=True)
class Predicted:
    """What became of one picture: the files written, or the problem that prevented them."""

    picture: Path
    files: tuple[Path, ...]
    """As the task names them; the last is for people."""
    problem: str | None = None
    pixels: int = 0
    missing: int = 0
    """Pixels without data."""
    boxes: int | None = None
    """How many were looked into; None: the picture as a whole was."""


@dataclass(frozen=True)
class Wanted:
    """A picture that is to be predicted.

    Args:
        picture: The file.
        name: Beginning of the names of the results' files.
        regions: What is looked into; None: the picture as a whole.
    """

    picture: Path
    name: str
    regions: tuple[Region, ...] | None = None


@dataclass(frozen=True)
class How:
    """What pictures are predicted with; see `predict_pictures`."""

    window: int | None = 1024
    overlap: float = 0.25
    as_is: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    views: Views = WHOLE


def _nothing(folder: Path) -> None:
    """There is nothing to write."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What a network says of a picture, or the problem that it cannot.

    Args:
        wanted: The picture.
        problem: In one line.
        pixels: It has.
        missing: Of them without data.
        answer: The task's.
        write: Writes the results' files into a folder.
    """

    wanted: Wanted
    problem: str | None = None
    pixels: int = 0
    missing: int = 0
    answer: Tensor | None = None
    write: Callable[[Path], None] = _nothing


Elsewhere = Callable[[Model, Sequence[Wanted], How], Iterator[Answered]]
"""Predicts pictures in another place, in any order."""


def find_pictures(
    inputs: Sequence[str | Path], suffixes: Collection[str] = PICTURE_SUFFIXES
) -> list[Path]:
    """The picture files that `inputs` name, each once, in the order given.

    Args:
        inputs: Files, folders (their pictures, not those of folders inside), or patterns such as
            `"street/**/*.jpg"`.
        suffixes: Of what counts as a picture.

    Raises:
        InputError: an input that names no picture.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        for picture in _named_by(Path(given), suffixes):
            found.setdefault(picture.resolve(), picture)
    if not found:
        raise InputError(
            "inputs=[]: must name pictures; give files, folders or patterns such as 'street/*.jpg'"
        )
    return list(found.values())


def _named_by(path: Path, suffixes: Collection[str]) -> list[Path]:
    known = ", ".join(sorted(suffixes))
    if path.is_file():
        if not _is_picture(path, suffixes):
            raise InputError(f"{path}: not a picture; give a file that ends in {known}")
        return [path]
    if path.is_dir():
        pictures, remedy = path.iterdir(), f"for folders inside it write '{path}/**/*.png'"
        base = path
    elif any(mark in str(path) for mark in "*?["):
        pictures = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        fixed = takewhile(lambda part: not any(mark in part for mark in "*?["), path.parts)
        base = Path(*fixed)
        remedy = "check the pattern"
    else:
        raise InputError(f"{path}: no such file or folder; check the path")
    chosen = sorted(
        found
        for found in pictures
        if found.is_file()
        and _is_picture(found, suffixes)
        and not is_hidden(found.relative_to(base))
    )
    if not chosen:
        raise InputError(f"{path}: no picture there ({known}); {remedy}")
    return chosen


def _is_picture(path: Path, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


@torch.no_grad()
def predict_answer(
    model: Model,
    image: Shaped[Tensor, "c h w"],
    *,
    window: int | None = 1024,
    overlap: float = 0.25,
    boxes: Sequence[Box] | None = None,
    views: Views = WHOLE,
) -> Tensor:
    """What a network says of a picture of raw values, as `Task.answer` has it, on the CPU.

    With one class per pixel that is the mask (h, w); of points it is (k, 3), with boxes
    (boxes, k, 3).

    Args:
        model: In eval mode, on any device; tiles are moved there one at a time.
        image: Raw values as read from a file; scale, mean and std are the model's own.
        window: A picture with a side of more pixels is predicted in tiles; None never is.
        overlap: The least fraction of a tile that its neighbour covers too, in [0, 1).
        boxes: (left, top, width, height) of parts to look at, each by itself.
        views: What is averaged of the picture, or of each tile or box.

    Raises:
        InputError: Boxes for a task that does not look into them, or scales for one that has one.
    """
    task = model.task
    run = views.averaged(predictor_of(model), task)

    def logits(tiles: Tensor) -> Tensor:
        return run(network_input(model, tiles))

    if boxes is not None:
        check_boxed(task)
        return _in_boxes(model, logits, image, boxes)
    size = None if window is None or not task.tiled else (window, window)
    seen = seen_of(model, image)
    bands = predict_bands(logits, seen[None], window=size, overlap=overlap)
    answers = [task.answer(band)[0].cpu() for band in bands]
    answer = answers[0] if len(answers) == 1 else torch.cat(answers, dim=-2)
    return task.placed(answer, (image.shape[-2], image.shape[-1]))


def _in_boxes(
    model: Model, logits: Callable[[Tensor], Tensor], image: Tensor, boxes: Sequence[Box]
) -> Tensor:
    """The answers in boxes, a few at a time, in pixels of the whole picture."""
    task, size = model.task, (image.shape[-2], image.shape[-1])
    found = []
    for start in range(0, len(boxes), TOGETHER):
        some = boxes[start : start + TOGETHER]
        views = torch.stack([seen_of(model, image, box) for box in some])
        answers = task.answer(logits(views)).cpu()
        found += [task.placed(a, size, box) for a, box in zip(answers, some, strict=True)]
    return torch.stack(found) if found else torch.zeros(0, model.config.num_classes, 3)


def check_boxed(task: Task) -> None:
    """Raise an InputError where a task does not look into boxes."""
    if not task.boxed:
        raise InputError(
            f"boxes: task {task.key!r} looks at whole pictures; leave --boxes and --image-ids out"
        )


def seen_of(
    model: Model, image: Shaped[Tensor, "c h w"], box: Box | None = None
) -> Shaped[Tensor, "c i j"]:
    """What a network sees of a picture of raw values, or of a box in it; the mean is around it."""
    return model.task.view(image, model.config.scale * torch.tensor(model.config.mean), box)


def network_input(model: Model, images: Shaped[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Raw values as the network takes them, on its device: `(raw / scale - mean) / std`."""
    config = model.config
    device = model.device
    mean = torch.tensor(config.mean, device=device)[:, None, None]
    std = torch.tensor(config.std, device=device)[:, None, None]
    return (images.to(device).to(torch.float32) / config.scale - mean) / std


def predict_pictures(
    model: Model,
    pictures: Sequence[Path],
    folder: Path,
    *,
    window: int | None = 1024,
    overlap: float = 0.25,
    stop_on_error: bool = False,
    as_is: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
    boxes: str | Path | None = None,
    image_ids: str | Path | None = None,
    views: Views = WHOLE,
    elsewhere: Elsewhere | None = None,
) -> Iterator[Predicted]:
    """Predict files one by one and write the task's files for each into a folder.

    With one class per pixel these are `<stem>.png`, class numbers in the model's palette (of 16
    bits beyond 255 classes; the ignore index where there is no data), and `<stem>_overlay.png`.
    Pictures of one stem get names of their own (`output_names`).

    Args:
        model: In eval mode.
        pictures: Files to read, as `find_pictures` lists them.
        folder: Where the results go; made if need be.
        window: A picture with a side of more pixels is predicted in tiles; None never is.
        overlap: The least fraction of a tile that its neighbour covers too, in [0, 1).
        stop_on_error: Raise for the first picture that cannot be used, instead of yielding it with
            its `problem` and going on.
        as_is: Take values that are unlike those of the training pictures too.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.
        boxes: A file of boxes to look into; see `data.regions`.
        image_ids: A COCO file that numbers the pictures.
        views: What is averaged of each picture, or of each tile or box.
        elsewhere: Predicts them in place of this process; see `pixelwise.cluster.pictures.over`.

    Raises:
        InputError: boxes or numbers that do not fit; results that cannot be written, or would
            replace a file that `predict` did not write; another `predict` at work in the folder;
            with `stop_on_error`, a file that cannot be read or has another number of bands.
    """
    views = views.suited(model.task)
    if boxes is not None or image_ids is not None:
        check_boxed(model.task)
    regions = read_regions(pictures, boxes, image_ids, model.config.names)
    names = output_names(pictures, model.task.file_names)
    _check_untouched(names, folder, model.task)
    with Outputs(folder, "predict") as outputs:
        each = [file for name in names.values() for file in model.task.file_names(name)]
        outputs.check([*each, *model.task.common(regions)])
        how = How(window, overlap, as_is, max_megapixels, views)
        boxed = regions.boxes
        each_wanted = [
            Wanted(picture, name, None if boxed is None else tuple(boxed[picture]))
            for picture, name in names.items()
        ]
        found: Iterator[Answered] = (answered(model, wanted, how) for wanted in each_wanted)
        if elsewhere is not None:
            found = elsewhere(model, each_wanted, how)
        yield from _predicted(found, model.task, each_wanted, outputs, regions, stop_on_error)


def answered(model: Model, wanted: Wanted, how: How) -> Answered:
    """Predict a picture; nothing is written yet.

    Args:
        model: In eval mode.
        wanted: The picture.
        how: What it is predicted with.
    """
    picture, inside = wanted.picture, wanted.regions
    try:
        image, missing = read_picture(
            picture, model, as_is=how.as_is, max_megapixels=how.max_megapixels
        )
        for region in inside or ():
            region.check_inside((image.shape[-2], image.shape[-1]))
    except InputError as error:
        return Answered(wanted, str(error))
    boxes = None if inside is None else [region.box for region in inside]
    answer = predict_answer(
        model, image, window=how.window, overlap=how.overlap, boxes=boxes, views=how.views
    )

    def write(folder: Path) -> None:
        model.task.write(folder, wanted.name, displayable(image), answer, missing, picture)

    without = 0 if missing is None else int(missing.sum())
    return Answered(wanted, None, image[0].numel(), without, answer, write)


def _predicted(
    found: Iterator[Answered],
    task: Task,
    order: Sequence[Wanted],
    outputs: Outputs,
    regions: Regions,
    stop_on_error: bool,
) -> Iterator[Predicted]:
    folder = outputs.folder
    answers: dict[Path, Tensor] = {}

    def write(one: Answered, files: Sequence[str]) -> None:
        with outputs.writing(*files):
            one.write(folder)

    def each() -> Iterator[Writing[Predicted]]:
        for one in found:
            picture, inside = one.wanted.picture, one.wanted.regions
            files = task.file_names(one.wanted.name)
            done = Predicted(picture, tuple(folder / file for file in files), one.problem)
            if one.problem is not None:
                if stop_on_error:
                    raise InputError(one.problem)
                yield Writing(done, partial(_nothing, folder))
                continue
            if task.common_files and one.answer is not None:
                answers[picture] = one.answer
            count = None if inside is None else len(inside)
            done = replace(done, pixels=one.pixels, missing=one.missing, boxes=count)
            yield Writing(done, partial(write, one, files), one.pixels)

    yield from written(each())
    if answers:
        told = {w.picture: answers[w.picture] for w in order if w.picture in answers}
        with outputs.writing(*task.common(regions)):
            task.write_common(folder, told, regions)


def output_names(
    pictures: Sequence[Path], file_names: Callable[[str], Sequence[str]]
) -> dict[Path, str]:
    """A name for each picture's results so that none replaces another's.

    The stem (`a`); where that is taken, with the suffix (`a_jpg`), with the folder (`street_a`),
    or with a number. Files that `file_names` gives for two names are never the same.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for picture in pictures:
        stem, suffix, parent = picture.stem, picture.suffix[1:], picture.resolve().parent.name
        choices = [stem, f"{stem}_{suffix}", f"{parent}_{stem}"]
        choices += [f"{stem}_{i}" for i in range(2, len(pictures) + 2)]
        for choice in choices:
            files = {file.casefold() for file in file_names(choice)}
            if not files & taken:
                break
        taken |= files
        names[picture] = choice
    return names


def _check_untouched(names: dict[Path, str], folder: Path, task: Task) -> None:
    """Refuse to write over the pictures that are read."""
    sources = {picture.resolve() for picture in names}
    for name in names.values():
        for file in (folder / file for file in task.file_names(name)):
            if file.resolve() in sources:
                raise InputError(
                    f"{file}: the result would replace the picture; choose another folder"
                )


def read_picture(
    picture: Path,
    model: Model,
    *,
    as_is: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[Shaped[Tensor, "c h w"], Bool[Tensor, "h w"] | None]:
    """The raw values of the bands that a network takes, and which pixels have no data.

    Pixels without data hold the mean of the training pictures.

    Args:
        picture: The file.
        model: What the picture is for.
        as_is: Do not compare the values with those of the training pictures.
        max_megapixels: A larger picture is refused, unless it is a TIFF.

    Raises:
        InputError: a file that cannot be read, or whose bands or values are not the network's.
    """
    config = model.config
    found = reading.read_picture(
        picture,
        config.bands,
        config.in_channels,
        nodata=config.nodata,
        max_megapixels=max_megapixels,
    )
    image = found.values if as_is else expected(model).fit(found, str(picture))
    return filled(image, found.missing, config.mean, config.scale), found.missing


def expected(model: Model) -> Expected:
    """What the values of a network's pictures must be like."""
    return Expected(model.config.scale, model.config.dtype, model.config.values)
