"""Ultralytics YOLO networks keep what was inserted into them while their own trainer trains them.

    yolo = YOLO("yolo11n-seg.pt")
    pixelwise.insert(yolo.model, "model.9=psa_s, model.16=psa_s")
    yolo.train(data="my.yaml", trainer=pixelwise.hosts.ultralytics.trainer(yolo))

That trainer builds a new network and takes the weights over by name. These classes insert the same
layers, with their weights, into the new one. Predict, val and export need no help.
"""

from typing import Any

from torch import nn
from ultralytics.models import yolo as tasks

from pixelwise.errors import InputError
from pixelwise.insertion.attached import insertions_of
from pixelwise.insertion.insert import insert
from pixelwise.insertion.rebuilt import BUILT, Look, watch, without_note


class KeepsInsertions:
    """The first base of a trainer class whose networks keep their insertions."""

    insert_lr = 1.0
    """Learning rate of the inserted layers, in multiples of the network's."""

    def get_model(self: Any, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
        """A new network with the insertions of `weights`, or of the `YOLO` object's network."""
        looks = [one for one in self.callbacks[BUILT] if isinstance(one, Look)]
        known = [weights, *(look.owner.model for look in looks)]
        old: Any = next((one for one in known if _insertions(one)), None)
        if old is None:
            raise _nothing_inserted(f"trainer={type(self).__name__}")
        network = super().get_model(without_note(cfg), weights, verbose)  # type: ignore[misc]
        insert(network, old)
        return network

    def build_optimizer(
        self: Any,
        model: nn.Module,
        name: str = "auto",
        lr: Any = 0.001,
        momentum: Any = 0.9,
        decay: Any = 1e-5,
        iterations: Any = 1e5,
    ) -> Any:
        """The usual optimiser; with `insert_lr`, the inserted layers are in groups of their own."""
        made = super().build_optimizer(model, name, lr, momentum, decay, iterations)  # type: ignore[misc]
        insertions = next(filter(None, map(insertions_of, model.modules())))
        inserted = set(insertions.parameters())
        for group in list(made.param_groups) if self.insert_lr != 1 else []:
            new = [one for one in group["params"] if one in inserted]
            group["params"] = [one for one in group["params"] if one not in inserted]
            made.add_param_group({**group, "params": new, "lr": group["lr"] * self.insert_lr})
        return made


class DetectionTrainer(KeepsInsertions, tasks.detect.DetectionTrainer):
    """Trains boxes."""


class SegmentationTrainer(KeepsInsertions, tasks.segment.SegmentationTrainer):
    """Trains masks of objects."""


class PoseTrainer(KeepsInsertions, tasks.pose.PoseTrainer):
    """Trains keypoints."""


class OBBTrainer(KeepsInsertions, tasks.obb.OBBTrainer):
    """Trains turned boxes."""


class ClassificationTrainer(KeepsInsertions, tasks.classify.ClassificationTrainer):
    """Trains classes of pictures."""


TRAINERS = {
    "detect": DetectionTrainer,
    "segment": SegmentationTrainer,
    "pose": PoseTrainer,
    "obb": OBBTrainer,
    "classify": ClassificationTrainer,
}

if hasattr(tasks, "semantic"):  # not in older versions

    class SemanticSegmentationTrainer(KeepsInsertions, tasks.semantic.SemanticSegmentationTrainer):
        """Trains a class per pixel."""

    TRAINERS["semantic"] = SemanticSegmentationTrainer


def trainer(yolo: Any) -> type:
    """The class to give to `yolo.train(trainer=...)`.

    Raises:
        InputError: Nothing is inserted into `yolo.model`, or its task has no trainer here.
    """
    if not _insertions(yolo.model):
        raise _nothing_inserted("yolo")
    if yolo.task not in TRAINERS:
        raise InputError(
            f"yolo.task={yolo.task!r}: has no trainer here, only {', '.join(TRAINERS)}; derive one"
            " from pixelwise.hosts.ultralytics.KeepsInsertions and the task's own trainer"
        )
    watch(yolo)
    return TRAINERS[yolo.task]


def _insertions(network: object) -> Any:
    return insertions_of(network) if isinstance(network, nn.Module) else None


def _nothing_inserted(where: str) -> InputError:
    return InputError(
        f"{where}: nothing is inserted into this network; call pixelwise.insert(yolo.model, ...)"
        " before the training"
    )
