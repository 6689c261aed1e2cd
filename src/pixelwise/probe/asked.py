"""What `pixelwise probe` is told."""

from dataclasses import dataclass

from pixelwise.checks import in_range, one_of
from pixelwise.devices import DEVICES, check_device
from pixelwise.errors import InputError
from pixelwise.settings import setting

VARIANTS = "distance,position,order,count"
LEAST = 8
"""Rows and columns of the smallest map."""


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of `pixelwise probe`."""

    variants: str = setting(VARIANTS, "what pixels must know: distance, position, order, count")
    size: int = setting(20, "rows and columns of the maps")
    channels: int = setting(48, "channels of the layer")
    steps: int = setting(200, "optimiser steps for each variant")
    seeds: int = setting(1, "trainings of each, which differ by their seeds")
    device: str = setting("auto", DEVICES)
    baselines: bool = setting(True, "also probe nothing, convolutions and a mean, to compare with")
    name: str | None = setting(None, "folder under runs/probe; default: the next number")
    batch_size: int = setting(16, "maps per step", advanced=True)
    lr: float = setting(0.01, "peak learning rate", advanced=True)
    maps: int = setting(512, "maps on which each is tested", advanced=True)
    runs: str = setting("runs", "folder that runs are written to", advanced=True)

    def __post_init__(self) -> None:
        known = tuple(VARIANTS.split(","))
        if not self.asked:
            raise InputError(f"variants={self.variants!r}: names none; write {VARIANTS}")
        for variant in self.asked:
            one_of(known, variants=variant)
        in_range(LEAST, 512, size=self.size)
        in_range(1, 4096, channels=self.channels)
        in_range(1, 1_000_000, steps=self.steps)
        in_range(1, 100, seeds=self.seeds)
        in_range(2, 4096, batch_size=self.batch_size)
        in_range(1e-6, 10.0, lr=self.lr)
        in_range(16, 1_000_000, maps=self.maps)
        check_device(self.device)
        name = self.name
        if name is not None and (name.strip(" .") == "" or set(name) & set("/\\\0")):
            raise InputError(
                f"name={name!r}: must be the name of a folder; choose one without slashes"
            )

    @property
    def asked(self) -> tuple[str, ...]:
        """The variants, each once."""
        words = (word.strip() for word in self.variants.split(","))
        return tuple(dict.fromkeys(word for word in words if word))

    @property
    def recipe(self) -> dict[str, int | float]:
        """What results that are compared must have in common."""
        names = ("size", "channels", "steps", "batch_size", "lr", "maps")
        return {name: getattr(self, name) for name in names}
