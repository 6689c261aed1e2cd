"""The data of a run: its splits, the checks of them, and the streams that training reads."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Int

from pixelwise.checks import parse_size
from pixelwise.data.augmenting.asked import Asked
from pixelwise.data.augmenting.balanced import Balance, check_names
from pixelwise.data.augmenting.chosen import Kinds, check_kinds
from pixelwise.data.augmenting.copy_paste import Rare, rare_classes
from pixelwise.data.augmenting.jpeg import check_jpeg
from pixelwise.data.cache import keep
from pixelwise.data.cache_size import read_cache
from pixelwise.data.fitting import Expected
from pixelwise.data.labels_survey import LabelsSurvey
from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.source import Found, Progress, Source, Split
from pixelwise.data.stream import Augmentation
from pixelwise.data.survey import Survey, values_of
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.tasks.base import Items, Stream, Task
from pixelwise.tasks.registry import FOR_DATA, task_class
from pixelwise.train.settings import TrainSettings

MOST_WHITE = 4.0
"""So far above white may values lie where weights are pretrained on photographs."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Data:
    """A data set, what is learnt from it, and the two splits that training reads."""

    source: Source
    task: type[Task]
    train: Split
    val: Split


def open_splits(settings: TrainSettings) -> Data:
    """The data set, opened; no picture is read."""
    if not settings.data:
        raise InputError("data='': must be given; write --data with a data.yaml, or 'scenes'")
    source = open_data(settings.data)
    name = FOR_DATA[source.kind] if settings.task == "auto" else settings.task
    task = task_class(name)
    task.check_source(source)
    if settings.class_weights == "auto" and task.data not in ("classes", "labels"):
        raise InputError(
            f"class_weights='auto': is for classes; leave it out for task {task.key!r}"
        )
    if settings.balance != "none" and task.data not in ("classes", "labels"):
        raise InputError(
            f"balance={settings.balance!r}: is for classes and labels, task {task.key!r} has none;"
            " leave it out"
        )
    check_kinds(_asked(settings), task.data, source)
    if not isinstance(settings.balance, str):
        check_names(settings.balance, source.classes.names)
    return Data(source, task, source.split("train"), source.split("val"))


def kept(settings: TrainSettings, data: Data, say: Callable[[str], None]) -> Data:
    """The data with decoded pictures kept, where the settings say so."""
    size = read_cache(settings.cache)
    if size is None:
        return data
    splits, line = keep({"train": data.train, "val": data.val}, size)
    say(line)
    return dataclasses.replace(data, train=splits["train"], val=splits["val"])


def crop_size(settings: TrainSettings, data: Data) -> tuple[int, int]:
    """(height, width) of the training crops; "auto" is what suits the task and the pictures."""
    if settings.crop != "auto":
        return parse_size(crop=settings.crop)
    return data.task.crop(data.train)


def check_data(settings: TrainSettings, data: Data, progress: Progress) -> Found | None:
    """Read every picture and mask; what those for training hold."""
    counted = settings.class_weights == "auto" or settings.balance != "none"
    if not (settings.check_data or counted or "copy_paste" in _asked(settings)):
        return None
    workers = settings.readers
    found = data.train.check(progress, workers=workers)
    other = data.val.check(progress, workers=workers)
    if found.values is not None and other.values is not None:
        like = Expected(data.source.scale, found.dtype, dataclasses.astuple(found.values))
        like.check(other.values, other.dtype, data.val.name)
    return found


def set_statistics(
    settings: TrainSettings, data: Data, model: Segmenter, found: Found | None
) -> None:
    """Mean, std and range of the input; a network to start from brings its own."""
    dtype, values = values_of(data.train) if found is None else (found.dtype, found.values)
    if values is None:
        raise InputError(f"{data.train.name}: no pixel has data; look at `nodata` and the pictures")
    about: dict[str, Any] = {
        "dtype": dtype,
        "values": dataclasses.astuple(values),
        "nodata": data.source.nodata,
    }
    if settings.start is not None:
        config = model.config
        Expected(config.scale, config.dtype, config.values).check(values, dtype, data.train.name)
        if not config.values:
            model.config = dataclasses.replace(config, **about)
        return
    use_imagenet = settings.pretrained and data.source.bands == 3
    if use_imagenet and values.most > MOST_WHITE * data.source.scale:
        raise InputError(
            f"{data.train.name}: has values up to {values.most:g} where white is "
            f"{data.source.scale:g}, and pretrained weights expect none far above; write `scale:` "
            "(the raw value of white) into data.yaml"
        )
    mean, std = IMAGENET if use_imagenet else measure_statistics(data.train)
    model.config = dataclasses.replace(model.config, mean=mean, std=std, **about)


def training_stream(
    settings: TrainSettings,
    data: Data,
    model: Segmenter,
    crop: tuple[int, int],
    varied: Augmentation,
) -> Stream:
    """The endless stream of augmented crops."""
    return model.task.stream(
        data.train,
        crop=crop,
        seed=settings.seed,
        mean=model.config.mean,
        std=model.config.std,
        scale=data.source.scale,
        augmentation=varied,
    )


def augmentation(settings: TrainSettings, task: type[Task]) -> Augmentation:
    """How training items are varied; zooms that are not stated are those of the task."""
    low, high = task.zoom
    return Augmentation(
        scale=(
            low if settings.scale_min is None else settings.scale_min,
            high if settings.scale_max is None else settings.scale_max,
        ),
        flip=settings.flip,
        flip_vertical=settings.flip_vertical,
        rotate=settings.rotate,
        colour=settings.colour,
        turn=settings.turn,
    )


def balance(settings: TrainSettings, data: Data, found: Found | None) -> Balance | None:
    """How often each class is asked for, by where the classes were found."""
    if settings.balance == "none":
        return None
    return Balance.of(
        settings.balance, data.source.classes.names, _by_picture(found), data.train.name
    )


def kinds(settings: TrainSettings, data: Data, found: Found | None, dtype: str) -> Kinds | None:
    """What else is done to training pictures, whose values are of that type."""
    asked = _asked(settings)
    if not asked:
        return None
    if "jpeg" in asked:
        check_jpeg(data.source.bands, dtype)
    rare: Rare = ()
    if "copy_paste" in asked:
        names = data.source.classes.names
        rare = rare_classes(asked["copy_paste"]["classes"], names, _by_picture(found))
    return Kinds(asked, rare)


def _asked(settings: TrainSettings) -> Asked:
    """`augment`, as the settings have read it."""
    return dict(cast(Asked, settings.augment or {}))


def _by_picture(found: Found | None) -> Int[np.ndarray, "pictures k"]:
    assert isinstance(found, Survey | LabelsSurvey)
    assert found.by_picture is not None
    return found.by_picture


def evaluation_set(data: Data, model: Segmenter) -> Items:
    """The pictures of val, as the network takes them."""
    config = model.config
    return model.task.evaluation_set(
        data.val, mean=config.mean, std=config.std, scale=data.source.scale
    )
