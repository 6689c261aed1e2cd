"""From settings to everything that a run needs, checked before step one.

The four steps data, network, length and report are quick: a misspelt name does not wait for the
masks, all of which are read only then.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixelwise.checks import parse_duration, parse_size
from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures, Progress, Source
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.losses import Loss, class_weights_from_counts, loss_for
from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.network import Network, build_network
from pixelwise.train.settings import TrainSettings

LARGEST_CROP = 512
EPOCHS = 50
"""Length of a run where no setting says it."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Data:
    """A data set and the two splits that training reads."""

    source: Source
    train: LabelledPictures
    val: LabelledPictures


@dataclass(frozen=True)
class Length:
    """How long a run is; one of the two is None."""

    steps: int | None
    seconds: float | None


@dataclass(frozen=True)
class TrainingPlan:
    """All that a run needs."""

    settings: TrainSettings
    data: Data
    network: Network
    length: Length
    device: str
    stream: TrainingStream
    val_inputs: EvaluationSet
    loss: Loss

    @property
    def model(self) -> Segmenter:
        """The network itself."""
        return self.network.model

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in which the training pictures are seen once."""
        return math.ceil(len(self.data.train) / self.settings.per_step)


def make_plan(
    settings: TrainSettings,
    say: Callable[[str], None],
    progress: Progress,
    *,
    described: Path | None = None,
) -> TrainingPlan:
    """Open the data, build the network, settle the length, tell the user; then read the masks.

    Args:
        settings: The run.
        say: Takes one line about what was understood.
        progress: Told (done, all) while masks are read.
        described: See `build_network`.
    """
    device = pick_device(settings.device)
    data = _data(settings)
    network = build_network(settings, data.source, described)
    length, crop = _length(settings, data), _crop(settings, data)
    for line in _report(settings, data, network, length, crop, device):
        say(line)

    counts = _check_masks(settings, data, progress)
    _set_statistics(settings, data, network.model)
    return TrainingPlan(
        settings=settings,
        data=data,
        network=network,
        length=length,
        device=device,
        stream=_stream(settings, data, network.model, crop),
        val_inputs=_val_inputs(data, network.model),
        loss=_loss(settings, data, network.model, counts, device),
    )


def _data(settings: TrainSettings) -> Data:
    """The data set, opened; no picture is read."""
    if not settings.data:
        raise InputError("data='': must be given; write --data with a data.yaml, or 'scenes'")
    source = open_data(settings.data)
    count = len(source.classes)
    if settings.task == "binary" and count != 2:
        raise InputError(
            f"task='binary': needs two classes, {source.name} has {count}; take 'multiclass'"
        )
    return Data(source, source.split("train"), source.split("val"))


def _length(settings: TrainSettings, data: Data) -> Length:
    if settings.time_limit is not None:
        return Length(None, parse_duration(time_limit=settings.time_limit))
    if settings.steps is not None:
        return Length(settings.steps, None)
    pictures = (settings.epochs or EPOCHS) * len(data.train)
    return Length(math.ceil(pictures / settings.per_step), None)


def _crop(settings: TrainSettings, data: Data) -> tuple[int, int]:
    if settings.crop != "auto":
        return parse_size(crop=settings.crop)
    height, width = data.train[0].image.shape[-2:]
    return min(height, LARGEST_CROP), min(width, LARGEST_CROP)


def _report(
    settings: TrainSettings,
    data: Data,
    network: Network,
    length: Length,
    crop: tuple[int, int],
    device: str,
) -> list[str]:
    """What was understood, line by line."""
    source, model = data.source, network.model
    attention = f" with {settings.attention}" if settings.attention not in ("auto", "none") else ""
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    steps = f"{length.steps} steps"
    shown = steps if settings.time_limit is None else f"{settings.time_limit} of wall time"
    return [
        f"data    {source.name}: {len(data.train)} training and {len(data.val)} validation"
        f" pictures, {len(source.classes)} classes, ignore {source.classes.ignore_index}",
        *(f"insert  {line}" for line in network.inserted.splitlines()),
        f"model   {model.config.arch}{attention} on {model.config.backbone}: {parameters:.2f} M"
        f" parameters, output stride {model.backbone.reductions[-1]}",
        f"run     {shown} of {settings.per_step} crops {crop[0]}x{crop[1]}, {settings.recipe}"
        f" lr {settings.peak_lr:g}, {settings.precision}-bit on {device}, seed {settings.seed}",
    ]


def _check_masks(settings: TrainSettings, data: Data, progress: Progress) -> tuple[int, ...] | None:
    """Read every mask; the training pixels per class."""
    if not settings.check_data and settings.class_weights != "auto":
        return None
    counts = data.train.check(progress)
    data.val.check(progress)
    return counts


def _set_statistics(settings: TrainSettings, data: Data, model: Segmenter) -> None:
    """Mean and std of the input; a network to start from brings its own."""
    if settings.start is not None:
        return
    use_imagenet = settings.pretrained and data.source.bands == 3
    mean, std = IMAGENET if use_imagenet else measure_statistics(data.train)
    model.config = dataclasses.replace(model.config, mean=mean, std=std)


def _stream(
    settings: TrainSettings, data: Data, model: Segmenter, crop: tuple[int, int]
) -> TrainingStream:
    return TrainingStream(
        data.train,
        crop=crop,
        seed=settings.seed,
        mean=model.config.mean,
        std=model.config.std,
        scale=data.source.scale,
        augmentation=Augmentation(
            scale=(settings.scale_min, settings.scale_max),
            flip=settings.flip,
            flip_vertical=settings.flip_vertical,
            rotate=settings.rotate,
            colour=settings.colour,
        ),
    )


def _val_inputs(data: Data, model: Segmenter) -> EvaluationSet:
    config = model.config
    return EvaluationSet(data.val, mean=config.mean, std=config.std, scale=data.source.scale)


def _loss(
    settings: TrainSettings,
    data: Data,
    model: Segmenter,
    counts: tuple[int, ...] | None,
    device: str,
) -> Loss:
    weights = None
    if settings.class_weights == "auto" and counts is not None:
        weights = class_weights_from_counts(counts).to(device)
    return loss_for(
        settings.task,
        loss=model.decoder.loss if settings.loss == "auto" else settings.loss,
        class_weights=weights,
        ignore_index=data.source.classes.ignore_index,
    )
