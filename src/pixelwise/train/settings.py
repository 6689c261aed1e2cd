"""What a training run is; written to `config.yaml`, which reproduces it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixelwise.checks import check_choice, check_range, parse_duration, parse_size
from pixelwise.errors import InputError
from pixelwise.layers.placement import is_saved, parse, to_text
from pixelwise.networks.config import as_text, attention_plan, convolution_plan
from pixelwise.settings import setting

RECIPES = ("adamw", "sgd")
NETWORK = (
    "model", "backbone", "attention", "pretrained", "output_stride", "convolution", "multi_grid",
    "backbone_options", "model_options", "align_corners",
)  # fmt: skip
"""Settings that say what the network is."""
DEFAULT_LR = {"adamw": 1e-3, "sgd": 1e-2}


@dataclass(frozen=True)
class TrainSettings:
    """Settings of `pixelwise train`."""

    data: str = setting("", "data.yaml, classes.csv, a folder with either, or 'scenes'")
    model: str = setting("fcn", "network, see 'pixelwise models'")
    backbone: str = setting("auto", "any timm backbone; auto: resnet18, or the network's own")
    attention: str | Mapping[Any, Any] = setting(
        "auto", "psa_s, psa_s@3,4 (stages), psa_s@inner (in blocks), none"
    )
    start: str | None = setting(
        None, "a run or saved model whose network and weights to start from"
    )
    insert: str | Mapping[Any, Any] | None = setting(
        None, "layers put into the network, its output unchanged at first: LAYER@PLACE,..."
    )
    task: str = setting("multiclass", "multiclass, or binary (two classes, one logit)")
    pretrained: bool = setting(False, "start the backbone from timm's weights")
    output_stride: int | None = setting(
        None, "8, 16 or 32; default: the network's own", advanced=True
    )
    epochs: int | None = setting(None, "passes over the training pictures")
    steps: int | None = setting(None, "optimiser steps, instead of epochs")
    time_limit: str | None = setting(None, "wall time such as 15m, instead of epochs")
    batch_size: int = setting(8, "pictures per batch")
    crop: str = setting("auto", "HEIGHTxWIDTH of training crops; auto: the picture, at most 512")
    recipe: str = setting("adamw", "adamw or sgd, both with polynomial decay")
    lr: float | None = setting(None, "peak learning rate; default 0.001 (adamw), 0.01 (sgd)")
    class_weights: str = setting("none", "none, or auto: rare classes weigh more")
    precision: str = setting("32", "32, or bf16 (autocast)")
    ema: float = setting(0.0, "decay of averaged weights, e.g. 0.99; 0: off", advanced=True)
    seed: int = setting(0, "all randomness follows from it")
    workers: int = setting(2, "processes that load pictures")
    device: str = setting("auto", "auto, cpu or cuda")
    name: str | None = setting(None, "name of the run; default: the next number")
    runs: str = setting("runs", "folder of all runs", advanced=True)
    convolution: str | Mapping[Any, Any] = setting(
        "auto", "in place of residual blocks' 3x3 convolutions: deform@3,4", advanced=True
    )
    multi_grid: Sequence[int] | None = setting(
        None, "dilations of the last stage's blocks: [4, 8, 16]", advanced=True
    )
    backbone_options: Mapping[str, Any] | None = setting(
        None, "options of the backbone: {stem_type: deep}", advanced=True
    )
    model_options: Mapping[str, Any] | None = setting(
        None, "options of the network, see 'pixelwise models NAME'", advanced=True
    )
    align_corners: bool | None = setting(
        None, "how logits are resized; default: as the network's authors do", advanced=True
    )
    loss: str = setting("auto", "cross_entropy, ohem; auto: the network's own", advanced=True)
    source: str = setting("", "where these settings come from", advanced=True)
    accumulate: int = setting(1, "batches per optimiser step", advanced=True)
    insert_lr: float = setting(1.0, "learning rate of insertions, as a multiple", advanced=True)
    host_lr: float = setting(1.0, "of all else beside insertions; 0: frozen", advanced=True)
    clip: float | None = setting(None, "largest gradient norm", advanced=True)
    deterministic: bool = setting(False, "refuse operations that vary", advanced=True)
    weight_decay: float = setting(1e-4, "of weights, not of biases and norms", advanced=True)
    momentum: float = setting(0.9, "of sgd", advanced=True)
    power: float = setting(0.9, "of the polynomial decay", advanced=True)
    warmup: float = setting(0.02, "share of the run with a rising learning rate", advanced=True)
    auxiliary: float = setting(1.0, "factor on the auxiliary losses' weights", advanced=True)
    scale_min: float = setting(0.5, "smallest zoom of training pictures", advanced=True)
    scale_max: float = setting(2.0, "largest zoom of training pictures", advanced=True)
    flip: bool = setting(True, "mirror half of the pictures left-right", advanced=True)
    flip_vertical: bool = setting(False, "mirror half of them up-down", advanced=True)
    rotate: bool = setting(False, "turn them by multiples of 90 degrees", advanced=True)
    colour: float = setting(0.3, "strength of brightness, contrast and saturation", advanced=True)
    validations: int = setting(10, "evaluations of val over the run", advanced=True)
    window: int = setting(1024, "larger pictures are evaluated in tiles of it", advanced=True)
    checkpoint_every: str = setting("60s", "time between checkpoints", advanced=True)
    check_data: bool = setting(True, "read every mask before the first step", advanced=True)

    def __post_init__(self) -> None:
        given = [n for n in ("epochs", "steps", "time_limit") if getattr(self, n) is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other; give one of them")
        for name in ("epochs", "steps", "batch_size", "accumulate", "validations", "window"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.output_stride not in (None, 8, 16, 32):
            raise InputError(f"output_stride must be 8, 16 or 32, got {self.output_stride}")
        check_choice("recipe", self.recipe, RECIPES)
        check_choice("task", self.task, ("multiclass", "binary"))
        check_choice("class_weights", self.class_weights, ("none", "auto"))
        check_choice("loss", self.loss, ("auto", "cross_entropy", "ohem"))
        check_choice("precision", self.precision, ("32", "bf16"))
        check_choice("device", self.device, ("auto", "cpu", "cuda"))
        if self.lr is not None:
            check_range("lr", self.lr, 1e-8, 10, "; usual values are 1e-4 to 1e-2")
        check_range("ema", self.ema, 0, 0.99999)
        check_range("insert_lr", self.insert_lr, 0, 1000)
        check_range("host_lr", self.host_lr, 0, 1000)
        if self.insert_lr == self.host_lr == 0:
            raise InputError("insert_lr and host_lr are both 0: nothing would be trained")
        for name, read in (("attention", attention_plan), ("convolution", convolution_plan)):
            if getattr(self, name) != "auto":
                object.__setattr__(self, name, as_text(read(getattr(self, name))))
        if self.insert is not None and not is_saved(self.insert):
            object.__setattr__(self, "insert", to_text(parse(self.insert, "insert")))
        given = [name for name in NETWORK if getattr(self, name) != getattr(TrainSettings, name)]
        if self.start is not None and given:
            raise InputError(
                f"start brings its own network; leave out {', '.join(given)}, or leave out start"
            )
        check_range("workers", self.workers, 0, 256)
        check_range("warmup", self.warmup, 0, 0.5)
        check_range("scale_min", self.scale_min, 0.05, self.scale_max)
        check_range("colour", self.colour, 0, 1)
        if self.clip is not None:
            check_range("clip", self.clip, 1e-6, 1e6)
        if self.time_limit is not None:
            parse_duration(self.time_limit, "time_limit")
        if self.crop != "auto":
            parse_size(self.crop, "crop")
        if self.checkpoint_every != "0":
            parse_duration(self.checkpoint_every, "checkpoint_every")
        if self.name is not None and (not self.name or "/" in self.name or self.name[0] == "."):
            raise InputError(f"name must be a plain folder name, got {self.name!r}")

    @property
    def peak_lr(self) -> float:
        """The learning rate after warm-up."""
        return DEFAULT_LR[self.recipe] if self.lr is None else self.lr
