"""What a training run is; written to `config.yaml`, which reproduces it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixelwise.checks import at_least, in_range, one_of, parse_duration, parse_size
from pixelwise.compiling.asked import CHOICES
from pixelwise.data.augmenting.asked import read_augment
from pixelwise.data.augmenting.shares import read_shares
from pixelwise.data.cache_size import read_cache
from pixelwise.devices import DEVICES, check_device, processors
from pixelwise.errors import InputError
from pixelwise.layers.placement import is_saved, to_text
from pixelwise.layers.plans import read_plan
from pixelwise.networks.config import as_text, attention_plan, convolution_plan
from pixelwise.settings import setting
from pixelwise.tasks.registry import available
from pixelwise.train.loggers.choice import read_names

RECIPES = ("adamw", "sgd")
STRATEGIES = ("auto", "ddp", "fsdp")
SCHEDULES = ("poly", "cosine", "one_cycle", "constant")
NETWORK = (
    "model", "backbone", "attention", "pretrained", "output_stride", "convolution", "multi_grid",
    "backbone_options", "model_options", "align_corners",
)  # fmt: skip
"""Settings that say what the network is."""
BATCH = 8
LOADERS, READERS = 2, 8
"""Processes at most where nobody says how many."""
DEFAULT_LR = {"adamw": 1e-3, "sgd": 1e-2}


@dataclass(frozen=True)
class TrainSettings:
    """Settings of `pixelwise train`."""

    data: str = setting(
        "",
        "data set: data.yaml, classes.csv, a folder with either, or a drawn one: 'scenes',"
        " 'puppets', 'depth-scenes', 'overlapping-scenes'",
    )
    model: str = setting(
        "auto", "network; 'pixelwise models' lists them; default: hrnetv2, for points hrnet_pose"
    )
    backbone: str = setting("auto", "any timm backbone; default: the network's own, or a small one")
    attention: str | Mapping[Any, Any] = setting(
        "auto",
        "layer to add: psa_s, psa_s@3,4 (after stages), psa_s@inner (in blocks) or none;"
        " default: the network's own",
    )
    start: str | None = setting(None, "run or saved model to start from, network and weights")
    insert: str | Mapping[Any, Any] | None = setting(
        None, "layers to insert, LAYER@PLACE,...; at first they do not change the output"
    )
    task: str = setting(
        "auto",
        "multiclass, binary, multilabel, regression or keypoints; default: what the data is for",
    )
    pretrained: bool = setting(False, "start the backbone from timm's weights")
    output_stride: int | None = setting(
        None, "8, 16 or 32; default: the network's own", advanced=True
    )
    epochs: int | None = setting(None, "passes over the training pictures; default: 50")
    steps: int | None = setting(None, "optimiser steps, instead of epochs")
    time_limit: str | None = setting(None, "wall time such as 15m, instead of epochs")
    batch_size: int | None = setting(None, "pictures per batch; default: 8, on a CPU 2")
    crop: str = setting(
        "auto", "size of training crops, HEIGHTxWIDTH; default: the pictures', at most 512x512"
    )
    recipe: str = setting("adamw", "adamw or sgd")
    schedule: str = setting(
        "poly", "learning rate: poly, cosine, one_cycle or constant", advanced=True
    )
    lr: float | None = setting(None, "peak learning rate; default: 0.001 (adamw), 0.01 (sgd)")
    loss: str = setting(
        "auto",
        "loss of the task, or a sum for classes: ce+0.5*dice, focal(gamma=2); default: the"
        " network's own, or the usual one",
    )
    class_weights: str = setting("none", "none, or auto: rare classes weigh more")
    precision: str = setting("32", "32, or autocast to bf16 or fp16")
    compile: str = setting(
        "off",
        "off, or auto: layers run compiled where that is measured faster on this CPU",
        advanced=True,
    )
    ema: float = setting(0.0, "decay of averaged weights, e.g. 0.99; 0: off", advanced=True)
    seed: int = setting(0, "random seed", advanced=True)
    workers: int | None = setting(
        None, "processes that load pictures; default: 2, on two processors 1, on one none"
    )
    device: str = setting("auto", DEVICES)
    name: str | None = setting(None, "name of the run; default: the next free number")
    runs: str = setting("runs", "folder that runs are written to", advanced=True)
    convolution: str | Mapping[Any, Any] = setting(
        "auto", "what replaces the 3x3 convolutions of residual blocks: deform@3,4", advanced=True
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
    task_options: Mapping[str, Any] | None = setting(
        None, "options of the task, such as {decoder: dark} for keypoints", advanced=True
    )
    source: str = setting("", "where these settings were published", advanced=True)
    accumulate: int = setting(1, "batches per optimiser step", advanced=True)
    insert_lr: float = setting(1.0, "factor on the learning rate of inserted layers", advanced=True)
    host_lr: float = setting(1.0, "factor on that of all other weights; 0: frozen", advanced=True)
    backbone_lr: float = setting(
        1.0, "factor on the backbone's learning rate; 0: frozen", advanced=True
    )
    layer_decay: float = setting(
        1.0, "factor from each block of the backbone to the one before, e.g. 0.75", advanced=True
    )
    patience: int | None = setting(
        None, "stop after so many evaluations without a better one", advanced=True
    )
    overfit_one_batch: bool = setting(
        False, "train on the first batch alone: the loss must fall to 0", advanced=True
    )
    checkpointing: bool = setting(
        False, "compute the backbone's maps again in backward: less memory", advanced=True
    )
    clip: float | None = setting(None, "largest gradient norm", advanced=True)
    deterministic: bool = setting(
        False, "refuse operations that are not deterministic", advanced=True
    )
    weight_decay: float = setting(1e-4, "weight decay, not for biases and norms", advanced=True)
    momentum: float = setting(0.9, "momentum of sgd", advanced=True)
    power: float = setting(0.9, "power of the schedule poly", advanced=True)
    warmup: float = setting(0.02, "share of the run with a rising learning rate", advanced=True)
    auxiliary: float = setting(1.0, "factor on the auxiliary losses' weights", advanced=True)
    scale_min: float | None = setting(
        None,
        "smallest zoom of training pictures; default: 0.5, for points 0.75, for values 1",
        advanced=True,
    )
    scale_max: float | None = setting(
        None,
        "largest zoom of training pictures; default: 2, for points 1.33, for values 1",
        advanced=True,
    )
    flip: bool = setting(True, "flip half of the pictures left-right", advanced=True)
    flip_vertical: bool = setting(False, "flip half of them up-down", advanced=True)
    rotate: bool = setting(False, "rotate them by multiples of 90 degrees", advanced=True)
    turn: float = setting(
        30.0, "largest angle in degrees that pictures with points turn by", advanced=True
    )
    colour: float = setting(
        0.3, "strength of changes of brightness, contrast and saturation", advanced=True
    )
    augment: str | Mapping[Any, Any] | None = setting(
        None,
        "what else is done to training pictures: 'turn=20, elastic=0.3, blur=0.2', see docs",
        advanced=True,
    )
    balance: str | Mapping[Any, Any] = setting(
        "none",
        "crops that hold each class: auto (as many of each), or shares: {car: 0.3, sign: 0.2}",
        advanced=True,
    )
    validations: int = setting(10, "evaluations on val over the run", advanced=True)
    window: int = setting(
        1024, "evaluate larger pictures in tiles of so many pixels", advanced=True
    )
    strategy: str = setting(
        "auto",
        "of several processes: ddp (auto), or fsdp: each keeps its part of the weights",
        advanced=True,
    )
    sync_norms: bool = setting(
        False, "batch norms see the batch of all processes (SyncBatchNorm)", advanced=True
    )
    checkpoint_every: str = setting("60s", "time between checkpoints", advanced=True)
    cache: str = setting(
        "none", "keep decoded pictures: memory:SIZE or disk:SIZE, e.g. memory:2GB", advanced=True
    )
    keep: int = setting(2, "checkpoints that stay, the newest ones", advanced=True)
    loggers: str | None = setting(
        None, "where numbers go too: wandb, trackio, mlflow, with commas", advanced=True
    )
    check_data: bool = setting(
        True, "look at the data and read every mask before the first step", advanced=True
    )

    def __post_init__(self) -> None:
        given = [n for n in ("epochs", "steps", "time_limit") if getattr(self, n) is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other; give one of them")
        counts = ("epochs", "steps", "batch_size", "accumulate", "validations", "window")
        for name in (*counts, "patience"):
            if (value := getattr(self, name)) is not None:
                at_least(1, **{name: value})
                in_range(1, 1e9, **{name: value})
        if self.output_stride not in (None, 8, 16, 32):
            raise InputError(
                f"output_stride={self.output_stride}: must be 8, 16 or 32; use one of them"
            )
        one_of(RECIPES, recipe=self.recipe)
        one_of(SCHEDULES, schedule=self.schedule)
        if self.task != "auto":
            one_of(("auto", *available()), task=self.task)
        one_of(("none", "auto"), class_weights=self.class_weights)
        one_of(("32", "bf16", "fp16"), precision=self.precision)
        one_of(CHOICES, compile=self.compile)
        one_of(STRATEGIES, strategy=self.strategy)
        check_device(self.device)
        if self.device.startswith("xpu"):
            raise InputError(f"device={self.device!r}: not for training; take cpu, cuda or mps")
        read_names(self.loggers)
        if self.lr is not None:
            in_range(1e-8, 10, lr=self.lr)
        in_range(0, 0.99999, ema=self.ema)
        in_range(0, 1000, insert_lr=self.insert_lr, host_lr=self.host_lr)
        in_range(0, 1000, backbone_lr=self.backbone_lr)
        in_range(0.01, 1, layer_decay=self.layer_decay)
        if self.insert_lr == self.host_lr == 0:
            raise InputError("insert_lr=0, host_lr=0: nothing would be trained; raise one")
        for name, read in (("attention", attention_plan), ("convolution", convolution_plan)):
            if getattr(self, name) != "auto":
                object.__setattr__(self, name, as_text(read(getattr(self, name))))
        if self.insert is not None and not is_saved(self.insert):
            object.__setattr__(self, "insert", to_text(read_plan(self.insert, "insert")))
        given = [name for name in NETWORK if getattr(self, name) != getattr(TrainSettings, name)]
        if self.start is not None and given:
            raise InputError(
                f"start={self.start!r}: brings its own network; leave out {', '.join(given)}, or"
                " leave out start"
            )
        if self.workers is not None:
            in_range(0, 256, workers=self.workers)
        in_range(1, 1000, keep=self.keep)
        in_range(0, 2**31, seed=self.seed)
        in_range(0, 1000, auxiliary=self.auxiliary)
        in_range(0, 10, weight_decay=self.weight_decay, power=self.power)
        in_range(0, 0.99999, momentum=self.momentum)
        in_range(0, 0.5, warmup=self.warmup)
        for name in ("scale_min", "scale_max"):
            if (value := getattr(self, name)) is not None:
                in_range(0.05, 20, **{name: value})
        if self.scale_min is not None and self.scale_max is not None:
            in_range(0.05, self.scale_max, scale_min=self.scale_min)
        in_range(0, 1, colour=self.colour)
        in_range(0, 180, turn=self.turn)
        object.__setattr__(self, "augment", read_augment(self.augment))
        object.__setattr__(self, "balance", read_shares(self.balance))
        if self.clip is not None:
            in_range(1e-6, 1e6, clip=self.clip)
        if self.time_limit is not None:
            parse_duration(time_limit=self.time_limit)
        if self.crop != "auto":
            parse_size(crop=self.crop)
        read_cache(self.cache)
        if self.checkpoint_every != "0":
            parse_duration(checkpoint_every=self.checkpoint_every)
        if self.name is not None and (not self.name or "/" in self.name or self.name[0] == "."):
            raise InputError(f"name={self.name!r}: must be a plain folder name; e.g. first_try")

    @property
    def loaders(self) -> int:
        """Processes that load pictures, beside the one that trains.

        Two processors, `lr_aspp` on crops of 192x256 in twos, medians of steps in turn on a busy
        machine: with one process 0.36 s and 0.32 s of the processors, with two 0.66 s and 0.35 s,
        with none 0.67 s and 0.30 s.
        """
        return min(LOADERS, processors() - 1) if self.workers is None else self.workers

    @property
    def readers(self) -> int:
        """Processes that read masks while nothing is trained."""
        if self.workers is not None:
            return self.workers
        return min(READERS, processors()) if processors() > 1 else 0

    @property
    def peak_lr(self) -> float:
        """The learning rate after warm-up."""
        return DEFAULT_LR[self.recipe] if self.lr is None else self.lr

    @property
    def per_batch(self) -> int:
        """Crops in a batch."""
        return self.batch_size or BATCH

    @property
    def per_step(self) -> int:
        """Crops in an optimiser step."""
        return self.per_batch * self.accumulate
