"""What a network is, as plain data: built from it, saved beside its weights."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError
from pixelwise.settings import with_tuples

Attention = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Place -> (layer key, its options). Places are "stage3" (after that stage), "inner3" and "blocks3"
(inside its residual blocks), and "inner" and "blocks" (inside all of them)."""


@dataclass(frozen=True)
class ModelConfig:
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
    """What was inserted into the network; see `insertion.attached.Place`."""
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

    def __post_init__(self) -> None:
        if self.in_channels < 1:
            raise InputError(f"in_channels must be at least 1, got {self.in_channels}")
        for name in ("options", "backbone_options"):  # from YAML and JSON come lists
            object.__setattr__(self, name, with_tuples(dict(getattr(self, name))))
        for name, given, default in (("mean", self.mean, 0.5), ("std", self.std, 0.25)):
            values = tuple(given) or (default,) * self.in_channels
            if len(values) != self.in_channels:
                raise InputError(
                    f"{name} needs one value per band ({self.in_channels}), got {len(values)}"
                )
            object.__setattr__(self, name, values)
        if any(value <= 0 for value in self.std):
            raise InputError(f"std must be positive, got {self.std}")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "ModelConfig":
        """Read what `save` wrote."""
        try:
            found = with_tuples(json.loads(path.read_text(encoding="utf-8")))
            for name in ("attention", "convolution"):
                entries = found.get(name, {}).items()
                found[name] = {_place(at): (key, options) for at, (key, options) in entries}
            return cls(**found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path}: not a model description ({type(error).__name__}: {error});"
                " expected the config.json that save_pretrained writes"
            ) from error


def attention_plan(
    spec: str | Mapping[Any, Any] | None, *, default: str = "4", what: str = "attention"
) -> Attention:
    """Read the ways of naming layers and their places.

    `"psa_s"` (after the last stage), `"psa_s@3,4"` (after stages 3 and 4), `"psa_s@inner"`, or a
    mapping from place to a name or to `{"name": ..., option: ...}`.
    """
    if spec is None or spec == "none":
        return {}
    if isinstance(spec, str):
        key, _, places = spec.partition("@")
        return {_place(place, what): (key, {}) for place in (places or default).split(",")}
    plan: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for place, entry in spec.items():
        if isinstance(entry, str):
            plan[_place(place, what)] = (entry, {})
        elif isinstance(entry, Mapping) and "name" in entry:
            options = {k: v for k, v in entry.items() if k != "name"}
            plan[_place(place, what)] = (str(entry["name"]), options)
        elif isinstance(entry, tuple | list) and len(entry) == 2:
            plan[_place(place, what)] = (str(entry[0]), dict(entry[1]))
        else:
            raise InputError(
                f"{what} at {place}: give a layer's name or a mapping with 'name' and"
                f" its options, got {entry!r}"
            )
    return plan


def convolution_plan(spec: str | Mapping[Any, Any] | None) -> Attention:
    """Read `"deform@3,4"`, `"acmix"` (all stages), or a mapping, as `attention_plan` does."""
    plan = attention_plan(spec, default="1,2,3,4", what="convolution")
    for place in plan:
        if not place.startswith("stage"):
            raise InputError(f"convolution at {place!r}: give stages, such as 'deform@3,4'")
    return plan


def _place(text: object, what: str = "attention") -> str:
    written = str(text).strip()
    kind, number = written.rstrip("1234"), written[len(written.rstrip("1234")) :]
    kind = kind or "stage"
    if len(number) > 1 or kind not in ("stage", "inner", "blocks") or kind + number == "stage":
        raise InputError(
            f"{what}: stages are 1 to 4 (4 the last), got {text!r}; write for example"
            " 'psa_s', 'psa_s@3,4', 'psa_s@inner3' or {'stage3': 'gc'}"
        )
    return kind + number
