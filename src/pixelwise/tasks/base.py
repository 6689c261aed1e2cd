"""What every task is: the outputs, the target, the loss, the answer, its scores, and its files."""

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from numpy import ndarray
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.regions import Box, Regions
from pixelwise.data.source import Found, LabelledPictures, Source, Split
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.errors import InputError
from pixelwise.language import message
from pixelwise.losses import class_weights_from_counts, read_loss
from pixelwise.metrics.tallies import Tallies
from pixelwise.tasks.bands import Bands
from pixelwise.tasks.demonstration import Demonstration
from pixelwise.tasks.measures import Measure, Measures

LARGEST_CROP = 512
Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits, target) of a batch -> a scalar."""
Predictor = Callable[[Tensor], Tensor]
"""Pictures (n, c, h, w) as the network takes them -> logits."""


@runtime_checkable
class Described(Protocol):
    """What a task asks of a network's description."""

    @property
    def num_classes(self) -> int:
        """Outputs per place."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs; may be empty."""

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """Their colours; may be empty."""

    @property
    def ignore_index(self) -> int:
        """Mask value of pixels that do not count."""

    @property
    def task_options(self) -> Mapping[str, Any]:
        """What else the task has to know."""


@runtime_checkable
class Items(Protocol):
    """What a loader can read: (image, target, name, ...) by number."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


@runtime_checkable
class Stream(Items, Protocol):
    """Training items without end, all of the size `crop` (height, width)."""

    crop: tuple[int, int]


class Result(ABC):
    """What an evaluation found.

    `title` names the number that training keeps the best network by.
    """

    title: ClassVar[str]

    @property
    @abstractmethod
    def best(self) -> float:
        """The number that is larger for a better network."""

    @abstractmethod
    def line(self) -> str:
        """The main numbers, each with its name, in one line."""

    @abstractmethod
    def numbers(self) -> Mapping[str, float | int | None]:
        """Name -> number, None where there is none; the same names after every evaluation."""

    def summary(self) -> Mapping[str, Any]:
        """What `metrics.json` holds."""
        return self.numbers()

    def measures(self) -> Measures:
        """What is told beside the numbers of another network."""
        return Measures(tuple(Measure(name, value) for name, value in self.numbers().items()))

    @abstractmethod
    def table(self) -> str:
        """All numbers as text for a terminal."""

    @abstractmethod
    def files(self) -> Mapping[str, bytes]:
        """File name -> contents, of the task's `result_files`: tables (CSV) and pictures (PNG)."""

    def picture_files(self, image: Callable[[int], ndarray]) -> Mapping[str, bytes]:
        """More of the `result_files`: those that show pictures of the data set.

        Args:
            image: The picture of an item by its number, for display, uint8 (h, w, 3).
        """
        return {}

    def tallies(self) -> Tallies | None:
        """What each picture adds to the scores; None: it is not known picture by picture."""
        return None

    def warning(self) -> str | None:
        """A line where the network has learnt nothing useful."""
        return None

    def unfound(self, least: float) -> Mapping[str, float]:
        """Classes of the truth whose IoU is below `least`, with their shares of the pixels."""
        return {}

    def learnt(self) -> Mapping[str, Any]:
        """`task_options` that were chosen on the pictures, for the network to keep."""
        return {}


class Scorer(ABC):
    """Gathers what a network answers beside the truth."""

    @abstractmethod
    def update(self, answer: Tensor, target: Tensor) -> None:
        """One picture's answer, as `Task.answer` gives it, and its target."""

    def look(self, name: str, logits: Tensor, target: Tensor) -> None:  # noqa: B027 - for some
        """One picture's name, logits (k, h, w) and target, before its `update`."""

    def last(self) -> float | None:
        """How good the last picture's answer is; None: not told picture by picture."""
        return None

    @abstractmethod
    def joined(self, parts: Sequence[Any]) -> "Scorer":
        """The scorer of all pictures, which were dealt out to n `parts`, `self` one of them.

        The first part has pictures 0, n, 2 n, ..., the second 1, n + 1, ...
        """

    @abstractmethod
    def result(self) -> Result:
        """The numbers over all pictures.

        Raises:
            InputError: Nothing was counted.
        """


def dealt_back(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """What was dealt out in turn, in its order again."""
    most = max(map(len, parts))
    return [part[i] for i in range(most) for part in parts if i < len(part)]


@dataclass(frozen=True)
class LossChoice:
    """What a user says of the loss.

    Args:
        name: A name of `Task.losses`, or "auto".
        preferred: The network's own, taken for "auto" where the task has it.
        weights: One per class, where rare classes weigh more.
    """

    name: str = "auto"
    preferred: str = "auto"
    weights: Tensor | None = None


class Task(ABC):
    """One task for one network or data set.

    Args:
        described: Names, colours, options; a network's config, or what will become one.

    Class attributes: `key` is what people type; `summary` is a line on it; `data` says what kind
    of data set it takes (`Source.kind`); `losses` are the names of its losses with a line each,
    the first by default, and `summed` whether they are those of `pixelwise.losses`, which can be
    added (`ce+0.5*dice`); `stride` is how many rows of a picture one row of the output stands for,
    `tiled` whether larger pictures may be predicted in tiles, `zoom` how far the size of training
    pictures usually varies; `demonstration` is what `pixelwise demo` shows of it, if anything.
    """

    key: ClassVar[str]
    summary: ClassVar[str]
    data: ClassVar[str]
    losses: ClassVar[Mapping[str, str]]
    summed: ClassVar[bool] = False
    stride: ClassVar[int] = 1
    tiled: ClassVar[bool] = True
    zoom: ClassVar[tuple[float, float]] = (0.5, 2.0)
    demonstration: ClassVar[Demonstration | None] = None

    def __init__(self, described: Described) -> None:
        self.described = described
        self.check()

    def check(self) -> None:  # noqa: B027 - not every task has something to check
        """Raise where the description does not fit the task."""

    @classmethod
    def usual_network(cls, backbone: str | None) -> tuple[str, str]:
        """Network and backbone where no setting names the network; `backbone` may be named.

        A small HRNet makes many steps in little time and keeps fine maps, see
        studies/usual_network.csv; on other backbones it is a feature pyramid, without dilation.
        """
        if backbone is None or backbone.startswith("hrnet"):
            return "hrnetv2", backbone or "hrnet_w18_small"
        return "fpn", backbone

    @classmethod
    def batch_size(cls, device: str) -> int:
        """Pictures per batch where no setting says it.

        Two on a CPU: from as many pictures, many small steps learn more than few large ones.
        """
        return 2 if device == "cpu" else 8

    @classmethod
    def check_source(cls, source: Source) -> None:
        """Raise where a data set is not for this task."""
        if source.kind != cls.data:
            raise InputError(
                f"task={cls.key!r}: needs {KINDS[cls.data]}, but {source.name} has"
                f" {KINDS[source.kind]}; take another task or data set"
            )

    @classmethod
    def num_classes(cls, source: Source) -> int:
        """`num_classes` of a network for a data set."""
        return len(source.classes)

    @classmethod
    def options(cls, source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
        """`task_options` of a network for a data set.

        Args:
            source: The data.
            settings: What the user states.
        """
        if settings:
            raise InputError(
                f"task_options={dict(settings)}: task {cls.key!r} has none; leave them out"
            )
        return {}

    @classmethod
    def class_weights(cls, found: Found) -> Tensor:
        """The weights of `LossChoice` by what the training pictures hold: rare ones weigh more."""
        return class_weights_from_counts(found.counts)

    @property
    def outputs(self) -> int:
        """Logits per place."""
        return self.described.num_classes

    @abstractmethod
    def answer(self, logits: Shaped[Tensor, "n k h w"]) -> Tensor:
        """What the logits say, picture by picture."""

    @classmethod
    def crop(cls, split: Split) -> tuple[int, int]:
        """(height, width) of training items where none is given: the pictures' median, bounded."""
        sizes = [split.size(i) for i in range(len(split))]
        height, width = (statistics.median_low(sides) for sides in zip(*sizes, strict=True))
        return min(height, LARGEST_CROP), min(width, LARGEST_CROP)

    def trained_at(self, crop: tuple[int, int]) -> Mapping[str, Any]:
        """`task_options` of a network that is trained on crops of this size."""
        return self.described.task_options

    def predictor(self, model: Predictor) -> Predictor:
        """What gives the logits: the network, or it and more."""
        return model

    own_scale: ClassVar[str] = ""
    """Why a picture must be seen at its own scale alone; empty: it need not be."""

    def unmirrored(self, logits: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
        """The logits of mirrored pictures, as if they had not been mirrored from left to right."""
        return logits.flip(-1)

    def merged(self, views: Sequence[Float[Tensor, "n k h w"]]) -> Float[Tensor, "n k h w"]:
        """Logits that say the mean of what those of several views of a picture say."""
        return torch.stack([view.float() for view in views]).mean(dim=0)

    boxed: ClassVar[bool] = False
    """Whether it can look into boxes of a picture, one by one."""

    def view(self, image: Tensor, fill: Tensor, box: Box | None = None) -> Tensor:
        """What the network sees of a picture of raw values.

        Args:
            image: (c, h, w).
            fill: A value per band for what is around the picture.
            box: The part to look at, where the task is `boxed`; None: all.
        """
        return image

    def seen_at(self, at: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Where a pixel (row, column) of a whole picture of `size` lies in its `view`."""
        return at

    def seen_from(self, at: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Which pixel of a whole picture of `size` a pixel of its `view` shows."""
        return at

    def placed(self, answer: Tensor, size: tuple[int, int], box: Box | None = None) -> Tensor:
        """The answer on a `view`, for the whole picture of `size` (height, width)."""
        return answer

    @abstractmethod
    def loss(self, choice: LossChoice) -> Loss:
        """The loss as a function of (logits, target), in float32 at least.

        Raises:
            InputError: No such loss, or weights that do not fit.
        """

    def presence_loss(self, logits: Float[Tensor, "n k"], target: Tensor) -> Tensor | None:
        """The loss of a network's word on what occurs in a picture; None: of no use here."""
        return None

    def chosen(self, choice: LossChoice) -> str:
        """The loss, or the sum of losses, that a choice means.

        Raises:
            InputError: The task has no such loss.
        """
        if choice.name == "auto":
            known = choice.preferred in self.losses
            return choice.preferred if known else next(iter(self.losses))
        if self.summed:
            read_loss(choice.name)
        elif choice.name not in self.losses:
            raise InputError(
                f"loss={choice.name!r}: must be one of {', '.join(self.losses)} for task"
                f" {self.key!r}; take one, or auto"
            )
        return choice.name

    def stream(
        self,
        pictures: Split,
        *,
        crop: tuple[int, int],
        seed: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        augmentation: Augmentation,
    ) -> Stream:
        """The endless stream of training items."""
        assert isinstance(pictures, LabelledPictures)
        return TrainingStream(
            pictures, crop, seed, mean=mean, std=std, scale=scale, augmentation=augmentation
        )

    def evaluation_set(
        self,
        pictures: Split,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        expected: Any = None,
    ) -> Items:
        """The pictures as the network takes them, with their targets."""
        assert isinstance(pictures, LabelledPictures)
        return EvaluationSet(pictures, mean=mean, std=std, scale=scale, expected=expected)

    def evidence(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """The logits where what speaks for a class depends on all places: one map per class."""
        return logits

    def confidence(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """How sure the logits at one pixel are of each class, 0 to 1."""
        return logits.softmax(dim=1)

    def places(self, answer: Tensor) -> list[tuple[int, int]] | None:
        """Pixels (row, column) worth explaining; None: some of each class of the answer."""
        return None

    def queries(
        self, answer: Tensor, name: str | None = None
    ) -> list[tuple[tuple[int, int], int | None]] | None:
        """`places`, and which output is asked about there; None: the largest. May be empty.

        Args:
            answer: Of one picture.
            name: The one point that is asked about, for tasks with points; None: any.

        Raises:
            InputError: No such point.
        """
        if name is not None:
            raise InputError(
                f"point={name!r}: task {self.key!r} has no points; take --at or --class"
            )
        found = self.places(answer)
        return None if found is None else [(at, None) for at in found]

    def place(self, names: Sequence[str], answer: Tensor) -> tuple[int, int] | None:
        """A pixel (row, column) of any of these classes or points; None: there is none."""
        return None

    result_files: ClassVar[tuple[str, ...]] = ()
    """Names of the files of `Result.files`, known before anything is evaluated."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """Counts what `answer` says beside the truth."""

    def scorer_for(self, items: Items) -> Scorer:
        """The scorer for items of an evaluation set, which may say more than the network does."""
        return self.scorer()

    examiner_files: ClassVar[tuple[str, ...]] = ()
    """Names of the files that `examiner`'s result may have beside `result_files`."""

    def examiner(self, *, boundary: int | None = None) -> Scorer | None:
        """Counts more than `scorer`, for whole evaluations; None: there is no more to tell.

        Args:
            boundary: Tolerance in pixels of scores along borders; None: they are left out.
        """
        if boundary is not None:
            raise InputError(
                f"boundary={boundary}: is for one class per pixel; leave it out for task"
                f" {self.key!r}"
            )
        return None

    @abstractmethod
    def picture(self, image: ndarray, target: Tensor, answer: Tensor) -> ndarray:
        """The picture, the truth and the answer side by side: uint8 (h, w, 3).

        Args:
            image: For display, uint8 (h, w, 3).
            target: As the scorer takes it.
            answer: Likewise.
        """

    def compared(self, image: ndarray, target: Tensor, answers: Mapping[str, Tensor]) -> ndarray:
        """As `picture`, with several answers by who gave them."""
        return pictures.stacked([self.picture(image, target, found) for found in answers.values()])

    @abstractmethod
    def file_names(self, name: str) -> tuple[str, ...]:
        """The files that `write` writes for a picture of that name; the last is for people."""

    @abstractmethod
    def write(
        self,
        folder: Path,
        name: str,
        image: ndarray,
        answer: Tensor,
        missing: Tensor | None,
        source: Path,
    ) -> None:
        """Write what was predicted of one picture.

        Args:
            folder: Where to.
            name: Beginning of the files' names.
            image: For display, uint8 (h, w, 3).
            answer: As `answer` gives it, of one picture.
            missing: Pixels (h, w) without data; None: there is none.
            source: The file of the picture.
        """

    def record(
        self, folder: Path, name: str, answer: Tensor, missing: Tensor | None, source: Path
    ) -> None:
        """Write the files of `write` but the last: those for machines."""
        raise InputError(f"task={self.key!r}: writes whole pictures alone; leave --masks out")

    def shown(self, image: ndarray, answer: Tensor, missing: Tensor | None) -> ndarray:
        """A picture with its answer, at its size: a frame of a clip.

        Args:
            image: For display, uint8 (h, w, 3).
            answer: As `answer` gives it, of one picture.
            missing: Pixels (h, w) without data; None: there is none.
        """
        raise InputError(f"task={self.key!r}: has no frames of clips; predict pictures instead")

    columns: ClassVar[tuple[str, ...]] = ()
    """Of the table that a clip has beside it; none: it has no table."""

    def rows(self, answer: Tensor) -> list[tuple[object, ...]]:
        """The rows of that table for the answer to a frame."""
        return []

    common_files: ClassVar[tuple[str, ...]] = ()
    """Files that `write_common` writes for all pictures together."""

    def common(self, regions: Regions) -> tuple[str, ...]:
        """Those of the `common_files` that are written for such pictures."""
        return self.common_files

    def write_common(  # noqa: B027
        self, folder: Path, answers: Mapping[Path, Tensor], regions: Regions
    ) -> None:
        """Write what was predicted of all pictures; called where there are `common_files`."""

    def bands(self) -> Bands:
        """How answers stand in a raster.

        Raises:
            InputError: They are not one or several numbers per pixel.
        """
        raise InputError(f"task={self.key!r}: gives no raster; predict pictures instead")

    def shares(self, logits: Float[Tensor, "k h w"]) -> tuple[tuple[str, ...], Tensor]:
        """How probable each class or label is at each pixel: names, and (b, h, w) of 0 to 1.

        Raises:
            InputError: Answers are no classes.
        """
        raise InputError(f"task={self.key!r}: gives no probabilities; leave them out")

    @property
    def without_data(self) -> str:
        """What the files hold where a picture has no data, in words."""
        return message("nothing is known there")


KINDS = {
    "classes": "one class per pixel (`names:`)",
    "labels": "several labels per pixel (`overlapping:`)",
    "values": "numbers per pixel (`values:`)",
    "points": "named points (`points:`)",
}
"""What the kinds of data sets hold."""
NOUNS = {"classes": "classes", "labels": "labels", "values": "bands", "points": "points"}
"""What their names are names of."""
