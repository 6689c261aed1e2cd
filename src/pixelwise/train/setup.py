"""From settings to everything a run needs, with every check that can be made before step one."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from pixelwise.checks import parse_duration, parse_size
from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures, Source
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.insertion.insert import insert
from pixelwise.interop.load import load
from pixelwise.losses import class_weights_from_counts, loss_for
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named
from pixelwise.networks.segmenter import Segmenter
from pixelwise.networks.zoo import ZOO
from pixelwise.settings import numbered_folder
from pixelwise.train.settings import TrainSettings

LARGEST_CROP = 512
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Plan:
    """All that a run needs."""

    settings: TrainSettings
    source: Source
    train: LabelledPictures
    val: LabelledPictures
    stream: TrainingStream
    val_inputs: EvaluationSet
    model: Segmenter
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    crop: tuple[int, int]
    device: str
    total_steps: int | None
    """None where a time limit decides."""
    seconds: float | None
    bare: bool = False
    """Whether the model has no weights yet but those of a checkpoint to come."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in which the training pictures are seen once."""
        return math.ceil(len(self.train) / (self.settings.batch_size * self.settings.accumulate))


def make_plan(
    settings: TrainSettings,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
    *,
    network: Path | None = None,
) -> Plan:
    """Open the data, check it, build the network.

    Args:
        settings: The run.
        say: Takes one line about what was understood.
        progress: Told (done, all) while masks are read.
        network: Description of the network of a run that goes on from a checkpoint; taken where
            the network that it started from is gone.
    """
    if not settings.data:
        raise InputError("data is missing: give --data with a data.yaml, or 'scenes'")
    device = pick_device(settings.device)
    source = open_data(settings.data)
    train, val = source.split("train"), source.split("val")
    names = source.classes.names
    if settings.task == "binary" and len(names) != 2:
        raise InputError(
            f"task 'binary' needs two classes, {source.name} has {len(names)}; take 'multiclass'"
        )
    say(
        f"data    {source.name}: {len(train)} training and {len(val)} validation pictures,"
        f" {len(names)} classes, ignore {source.classes.ignore_index}"
    )
    # First what needs no picture to be read: a misspelt name must not wait for the masks.
    torch.manual_seed(settings.seed)
    gone = settings.start is not None and not Path(settings.start).exists()
    bare = gone and network is not None and network.is_file()
    if network is not None and bare:
        model = Segmenter(ModelConfig.load(network))
    else:
        model = _network(settings, source)
    if settings.insert is not None and not bare:
        report = insert(model, settings.insert)
        say("\n".join(f"insert  {line}" for line in str(report).splitlines()))
    counts = None
    if settings.check_data or settings.class_weights == "auto":
        counts = train.check(progress)
        val.check(progress)
    if settings.start is not None:
        mean, std = model.config.mean, model.config.std
    else:
        use_imagenet = settings.pretrained and source.bands == 3
        mean, std = IMAGENET if use_imagenet else measure_statistics(train)
        model.config = dataclasses.replace(model.config, mean=tuple(mean), std=tuple(std))
    crop = _crop_like(train) if settings.crop == "auto" else parse_size(settings.crop, "crop")
    weights = None
    if settings.class_weights == "auto" and counts is not None:
        weights = class_weights_from_counts(counts).to(device)
    parameters = sum(p.numel() for p in model.parameters())
    attention = f" with {settings.attention}" if settings.attention not in ("auto", "none") else ""
    name = f"{model.config.arch}{attention} on {model.config.backbone}"
    say(
        f"model   {name}: {parameters / 1e6:.2f} M"
        f" parameters, output stride {model.backbone.reductions[-1]}"
    )
    per_step = settings.batch_size * settings.accumulate
    total = settings.steps
    if settings.epochs is not None or (total is None and settings.time_limit is None):
        total = math.ceil((settings.epochs or 50) * len(train) / per_step)
    seconds = settings.time_limit and parse_duration(settings.time_limit, "time_limit")
    length = f"{total} steps" if total is not None else f"{settings.time_limit} of wall time"
    say(
        f"run     {length} of {per_step} crops {crop[0]}x{crop[1]}, {settings.recipe}"
        f" lr {settings.peak_lr:g}, {settings.precision}-bit on {device}, seed {settings.seed}"
    )
    return Plan(
        settings=settings,
        source=source,
        train=train,
        val=val,
        stream=TrainingStream(
            train,
            crop=crop,
            seed=settings.seed,
            mean=mean,
            std=std,
            scale=source.scale,
            augmentation=Augmentation(
                scale=(settings.scale_min, settings.scale_max),
                flip=settings.flip,
                flip_vertical=settings.flip_vertical,
                rotate=settings.rotate,
                colour=settings.colour,
            ),
        ),
        val_inputs=EvaluationSet(val, mean=mean, std=std, scale=source.scale),
        model=model,
        loss=loss_for(
            settings.task,
            loss=model.decoder.loss if settings.loss == "auto" else settings.loss,
            class_weights=weights,
            ignore_index=source.classes.ignore_index,
        ),
        crop=crop,
        device=device,
        total_steps=total,
        seconds=seconds or None,
        bare=bare,
    )


def _network(settings: TrainSettings, source: Source) -> Segmenter:
    """A new network, or the one to start from."""
    names = source.classes.names
    if settings.start is not None:
        return _started(settings.start, settings.task, source)
    return create_model(
        settings.model,
        _backbone(settings),
        num_classes=1 if settings.task == "binary" else len(names),
        in_channels=source.bands,
        pretrained=settings.pretrained,
        task=settings.task,
        output_stride=settings.output_stride,
        attention=None if settings.attention == "auto" else settings.attention,
        convolution=None if settings.convolution == "auto" else settings.convolution,
        multi_grid=settings.multi_grid,
        backbone_options=settings.backbone_options,
        align_corners=settings.align_corners,
        names=names,
        palette=source.classes.palette,
        ignore_index=source.classes.ignore_index,
        scale=source.scale,
        bands=source.band_numbers,
        **(settings.model_options or {}),
    )


def _started(start: str, task: str, source: Source) -> Segmenter:
    """The network to start from, if it is for such data."""
    model = load(start).train()
    config, classes = model.config, source.classes
    count = 1 if task == "binary" else len(classes)
    for what, theirs, ours in (
        ("task", config.task, task),
        ("number of classes", config.num_classes, count),
        ("class names", config.names or classes.names, classes.names),
        ("number of bands", config.in_channels, source.bands),
        ("value of white", config.scale, source.scale),
    ):
        if theirs != ours:
            raise InputError(
                f"start {start}: its {what} is {theirs}, but that of {source.name} is {ours};"
                " start from a network for such data, or leave out start"
            )
    return model


def _backbone(settings: TrainSettings) -> str | None:
    """None where the network brings its own; else a small one."""
    if settings.backbone != "auto":
        return settings.backbone
    own = settings.model in ZOO or decoder_named(settings.model).backbone != "resnet50"
    return None if own else "resnet18"


def _crop_like(pictures: LabelledPictures) -> tuple[int, int]:
    height, width = pictures[0].image.shape[-2:]
    return min(height, LARGEST_CROP), min(width, LARGEST_CROP)


def new_run(settings: TrainSettings, command: str = "train") -> Path:
    """Make the run's folder: `runs/<command>/<name>`, numbered where it has no name."""
    parent = Path(settings.runs) / command
    if settings.name is None:
        return numbered_folder(parent)
    run = parent / settings.name
    if (run / "config.yaml").exists():
        raise InputError(
            f"{run} exists; choose another --name, or go on with it: pixelwise train --resume {run}"
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{run}: cannot make the run's folder: {error.strerror}") from error
    return run
