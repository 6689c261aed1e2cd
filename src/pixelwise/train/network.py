"""The network that a run trains: a new one, or the one that it starts from."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pixelwise.errors import InputError
from pixelwise.insertion.insert import insert
from pixelwise.interop.load import load
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.factory import create_model
from pixelwise.networks.files import sketched
from pixelwise.networks.registry import decoder_named, resolve
from pixelwise.networks.segmenter import Segmenter
from pixelwise.networks.zoo import ZOO
from pixelwise.notes import settled
from pixelwise.train.inputs import Data
from pixelwise.train.recomputing import compute_again
from pixelwise.train.settings import TrainSettings


@dataclass(frozen=True)
class Network:
    """A network and how it came to be."""

    model: Segmenter
    inserted: str = ""
    """The report on what was inserted, in lines."""
    bare: bool = False
    """Whether it has no weights yet but those of a checkpoint to come."""


@settled()
def build_network(settings: TrainSettings, data: Data, described: Path | None) -> Network:
    """A run's network.

    Args:
        settings: The run.
        data: What the network is for.
        described: Description of the network of a run that goes on from a checkpoint; taken
            where the network that the run started from is gone.
    """
    torch.manual_seed(settings.seed)
    gone = settings.start is not None and not Path(settings.start).exists()
    if gone and described is not None and described.is_file():
        return Network(_described(described), bare=True)
    model = _new(settings, data) if settings.start is None else _started(settings.start, data)
    if settings.checkpointing:
        compute_again(model)
    if settings.insert is None:
        return Network(model)
    return Network(model, inserted=str(insert(model, settings.insert)))


def _described(file: Path) -> Segmenter:
    config = ModelConfig.load(file)
    sketched(file, config, Segmenter)
    return Segmenter(config)


def _new(settings: TrainSettings, data: Data) -> Segmenter:
    source, task = data.source, data.task
    names = source.classes.names
    return create_model(
        settings.model,
        _backbone(settings),
        num_classes=task.num_classes(source),
        in_channels=source.bands,
        pretrained=settings.pretrained,
        task=task.key,
        task_options=task.options(source, settings.task_options or {}),
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


def _started(start: str, data: Data) -> Segmenter:
    """The network to start from, if it fits the data."""
    model = load(start).train()
    config, source = model.config, data.source
    classes = source.classes
    for what, theirs, ours in (
        ("task", config.task, data.task.key),
        ("number of classes", config.num_classes, data.task.num_classes(source)),
        ("class names", config.names or classes.names, classes.names),
        ("number of bands", config.in_channels, source.bands),
        ("value of white", config.scale, source.scale),
    ):
        if theirs != ours:
            raise InputError(
                f"start={start!r}: its {what} is {theirs}, but that of {source.name} is {ours};"
                " start from a network for such data, or leave out start"
            )
    return model


def _backbone(settings: TrainSettings) -> str | None:
    """None where the network brings its own; else a small one."""
    if settings.backbone != "auto":
        return settings.backbone
    key = resolve(settings.model)
    own = key in ZOO or decoder_named(key).backbone != "resnet50"
    return None if own else "resnet18"
