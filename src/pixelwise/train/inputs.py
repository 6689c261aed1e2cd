"""The data of a run: its splits, the checks of them, and the streams that training reads."""

import dataclasses
from dataclasses import dataclass

from pixelwise.checks import parse_size
from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures, Progress, Source
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.settings import TrainSettings

LARGEST_CROP = 512
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Data:
    """A data set and the two splits that training reads."""

    source: Source
    train: LabelledPictures
    val: LabelledPictures


def open_splits(settings: TrainSettings) -> Data:
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


def crop_size(settings: TrainSettings, data: Data) -> tuple[int, int]:
    """(height, width) of the training crops; "auto" is the first picture's, within bounds."""
    if settings.crop != "auto":
        return parse_size(crop=settings.crop)
    height, width = data.train[0].image.shape[-2:]
    return min(height, LARGEST_CROP), min(width, LARGEST_CROP)


def check_masks(settings: TrainSettings, data: Data, progress: Progress) -> tuple[int, ...] | None:
    """Read every mask; the training pixels per class."""
    if not settings.check_data and settings.class_weights != "auto":
        return None
    counts = data.train.check(progress)
    data.val.check(progress)
    return counts


def set_statistics(settings: TrainSettings, data: Data, model: Segmenter) -> None:
    """Mean and std of the input; a network to start from brings its own."""
    if settings.start is not None:
        return
    use_imagenet = settings.pretrained and data.source.bands == 3
    mean, std = IMAGENET if use_imagenet else measure_statistics(data.train)
    model.config = dataclasses.replace(model.config, mean=mean, std=std)


def training_stream(
    settings: TrainSettings, data: Data, model: Segmenter, crop: tuple[int, int]
) -> TrainingStream:
    """The endless stream of augmented crops."""
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


def evaluation_set(data: Data, model: Segmenter) -> EvaluationSet:
    """The pictures of val, as the network takes them."""
    config = model.config
    return EvaluationSet(data.val, mean=config.mean, std=config.std, scale=data.source.scale)
