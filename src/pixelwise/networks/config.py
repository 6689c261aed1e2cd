"""What a network is, as plain data: built from it, saved beside its weights."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from pixelwise.errors import InputError
from pixelwise.kinds import KindsChecked, plain
from pixelwise.layers.placement import Placement, kind_of, to_text
from pixelwise.layers.plans import read_plan
from pixelwise.networks.config_file import (
    check_counts,
    check_entries,
    check_ranges,
    entries,
    expected,
)
from pixelwise.notes import settled

Attention = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Place -> (layer key, its options). Places are "stage3" (after that stage), "inner3" and "blocks3"
(inside its residual blocks), and "inner" and "blocks" (inside all of them)."""
EXAMPLE = {"attention": "psa_s@3,4", "convolution": "deform@3,4"}


@dataclass(frozen=True)
class ModelConfig(metaclass=KindsChecked):
    """Architecture, classes, and what the input must look like.

    The network's input is `(raw / scale - mean) / std`, band by band.
    """

    arch: str
    backbone: str
    num_classes: int
    in_channels: int = 3
    task: str = "multiclass"
    output_stride: int | None = None
    attention: Attention = field(default_factory=dict)
    convolution: Attention = field(default_factory=dict)
    """Stage -> what stands in for the 3x3 convolutions of its blocks."""
    multi_grid: tuple[int, ...] | None = None
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the backbone."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the decoder."""
    align_corners: bool | None = None
    """How maps and logits are resized; None is the decoder's own."""
    insert: tuple[Mapping[str, Any], ...] = ()
    """What was inserted into the network; see `insertion.attached.InsertionPlace`."""
    names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ignore_index: int = 255
    mean: tuple[float, ...] = ()
    """Per band, in units of raw / scale; empty is 0.5."""
    std: tuple[float, ...] = ()
    """Per band, in units of raw / scale; empty is 0.25."""
    scale: float = 255.0
    """The raw value that stands for 1: 255 for 8-bit pictures, 65535 for 16-bit ones."""
    bands: tuple[int, ...] | None = None
    """Which bands of a picture file are the input; None is all."""
    dtype: str = ""
    """The type of the training pictures; empty where it is not known."""
    values: tuple[float, ...] = ()
    """Their lowest value, and the lowest and highest of their peaks, raw; empty likewise."""
    nodata: tuple[float, ...] = ()
    """Values that mean "no data", beside those that picture files name."""
    task_options: Mapping[str, Any] = field(default_factory=dict)
    """What the task has to know beside the classes."""

    def __post_init__(self) -> None:
        if self.in_channels < 1:
            raise InputError(f"in_channels={self.in_channels}: must be at least 1; raise it")
        for name in (
            "options",
            "backbone_options",
            "task_options",
        ):  # from YAML and JSON come lists
            object.__setattr__(self, name, plain(dict(getattr(self, name))))
        for name, given, default in (("mean", self.mean, 0.5), ("std", self.std, 0.25)):
            values = tuple(given) or (default,) * self.in_channels
            if len(values) != self.in_channels:
                raise InputError(
                    f"{name}={values}: must have one value per band, {self.in_channels} of them;"
                    f" give as many, or leave {name} out"
                )
            object.__setattr__(self, name, values)
        if not all(0 < value < math.inf for value in self.std):
            raise InputError(f"std={self.std}: must be positive; leave it out for the default")
        if not all(-math.inf < value < math.inf for value in self.mean):
            raise InputError(f"mean={self.mean}: must be numbers; leave it out for the default")
        if not 0 < self.scale < math.inf:
            raise InputError(f"scale={self.scale}: must be positive; e.g. 255 for 8-bit pictures")
        if not isinstance(self.dtype, str):
            raise InputError(f"dtype={self.dtype!r}: must be the name of a type; e.g. uint8")
        for name, counts in (("values", (0, 3)), ("nodata", None)):
            numbers = getattr(self, name)
            good = isinstance(numbers, tuple) and all(
                isinstance(number, int | float) and not isinstance(number, bool)
                for number in numbers
            )
            if not good or (counts is not None and len(numbers) not in counts):
                raise InputError(f"{name}={numbers!r}: must be numbers; leave {name} out")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.plain(), indent=2) + "\n", encoding="utf-8")

    def plain(self) -> dict[str, Any]:
        """The entries as JSON has them."""
        told = dataclasses.asdict(self)
        return told | {
            "attention": as_text(self.attention),
            "convolution": as_text(self.convolution),
        }

    @classmethod
    def load(cls, path: Path) -> "ModelConfig":
        """Read what `save` wrote, or an older version did.

        Raises:
            InputError: The file cannot be read, or an entry is missing, unknown, or of a type or
                a value that it cannot have.
        """
        return cls.read(entries(path), path)

    @classmethod
    def read(cls, entries: Mapping[str, Any], path: Path) -> "ModelConfig":
        """From entries as `plain` gives them, which stood in a file.

        Raises:
            InputError: As `load`.
        """
        found = plain(dict(entries))
        hints = get_type_hints(cls)
        plans = {"attention": attention_plan, "convolution": convolution_plan}
        check_entries(path, found, hints | dict.fromkeys(plans, str | Mapping[Any, Any]))
        try:
            check_counts(found["num_classes"], found["in_channels"])
            found["scale"] = float(found["scale"])
            for name in ("mean", "std", "values", "nodata"):  # JSON has one kind of number
                found[name] = tuple(map(float, found.get(name, ())))
            with settled():
                config = cls(**found | {name: read(found[name]) for name, read in plans.items()})
            check_ranges(config)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path}: describes no network ({told}); {expected()}") from error
        return config


def attention_plan(spec: str | Mapping[Any, Any] | None) -> Attention:
    """Layers by place, from any form of a plan (`layers.placement`); by default after stage 4.

    Raises:
        InputError: No plan, a place that networks do not have, or two layers at one.
    """
    return _by_place(spec, "attention", ("stage", "inner", "blocks"), ("4",))


def convolution_plan(spec: str | Mapping[Any, Any] | None) -> Attention:
    """What stands in for convolutions, by stage; as `attention_plan`, by default in all stages."""
    return _by_place(spec, "convolution", ("stage",), ("1", "2", "3", "4"))


def as_text(plan: Attention) -> str:
    """The text that `attention_plan` and `convolution_plan` read, as it is saved."""
    return to_text(Placement(where, key, options) for where, (key, options) in plan.items())


def _by_place(
    spec: str | Mapping[Any, Any] | None, name: str, kinds: Sequence[str], default: Sequence[str]
) -> Attention:
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for where, key, options in read_plan(spec, name, default=default):
        kind, number = kind_of(where)
        if kind not in kinds:
            inside = ", 'inner', 'inner3', 'blocks' or 'blocks3'" if "inner" in kinds else ""
            raise InputError(
                f"{name}={spec!r}: {where!r} is no place here; give stages 1 to 4{inside}, such as"
                f" {EXAMPLE[name]!r}, or name modules in pixelwise.insert"
            )
        if number not in (None, 1, 2, 3, 4):
            raise InputError(
                f"{name}={spec!r}: stages are 1 to 4 (4 the last), got {where!r}; write for example"
                f" {EXAMPLE[name]!r}"
            )
        place = kind if number is None else f"{kind}{number}"
        if place in found:
            raise InputError(f"{name}={spec!r}: two layers at {place!r}; name a place once")
        found[place] = (key, options)
    return found
