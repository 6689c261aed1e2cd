"""What was inserted: the report, and the ways to train it, save it and take it out."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import (
    CHILD,
    Attached,
    InsertionPlace,
    Insertions,
    insertions_of,
)
from pixelwise.insertion.attaching import detach
from pixelwise.insertion.examples import Example
from pixelwise.insertion.groups import parameter_groups
from pixelwise.insertion.listing import aligned
from pixelwise.insertion.rebuilt import guard
from pixelwise.insertion.verifying import Verified, verified
from pixelwise.language import translate

PLAN = "pixelwise.insertions"
"""Where a weights file says what stands where."""


@dataclass(frozen=True)
class Line:
    """A place in the report."""

    place: InsertionPlace
    calls: int
    size: tuple[int, int]
    """Rows and columns of the map there."""
    parameters: int
    flops: int


@dataclass
class Inserted:
    """Layers that were put into a host; printing it shows the report."""

    host: nn.Module
    image: tuple[int, int]
    """Size of the picture that the figures are for."""
    lines: tuple[Line, ...]
    host_parameters: int
    host_flops: int
    bands: int
    differences: Mapping[str, float] = field(default_factory=dict)
    """Largest difference of the host's outputs from before, by mode; empty if not compared."""
    notes: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[InsertionPlace, ...]:
        """What stands where."""
        return tuple(line.place for line in self.lines)

    @property
    def parameters(self) -> int:
        """Parameters added."""
        return sum(line.parameters for line in self.lines)

    @property
    def flops(self) -> int:
        """Operations added, for one picture of the size `image`."""
        return sum(line.flops for line in self.lines)

    @property
    def module(self) -> Insertions:
        """The insertions as a module.

        Raises:
            InputError: They were taken out.
        """
        found = insertions_of(self.host)
        if found is None:
            raise InputError("nothing is inserted any more; insert again")
        return found

    def attached(self) -> list[Attached]:
        """This report's layers with their gains."""
        names = {place.name for place in self.places}
        return [a for a in self.module.attached() if a.place.name in names]

    def verify(self, example: Example | None = None, host: nn.Module | None = None) -> Verified:
        """Run the host once, in eval mode, and tell which of these layers take part in it.

        Args:
            example: The host's input, as `insert` takes it; None finds a small one.
            host: Another network to look at: an average of the weights, or what a trainer made.
        """
        return verified(self.host if host is None else host, example, self.places)

    def remove(self) -> None:
        """Give the original host back: its modules, keys and hooks are as before."""
        detach(self.host, {place.name for place in self.places})
        guard(self.host, insertions_of(self.host))

    def state_dict(self) -> dict[str, Tensor]:
        """The weights of the insertions alone."""
        return of_network(self)[1]

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights that `state_dict` gave, of the same layers at the same places.

        Raises:
            InputError: They do not fit; nothing is changed.
        """
        own = self.state_dict()
        faults = [name for name in {*own, *state} if name not in own or name not in state]
        faults += [n for n in own.keys() & state.keys() if own[n].shape != state[n].shape]
        if faults:
            raise InputError(
                f"the weights are of other insertions: {len(faults)} of {len(own)} do not fit, such"
                f" as {min(faults)!r}; insert the layers that were saved, at the same places"
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])

    def save(self, path: str | Path) -> None:
        """Write the insertions alone, as safetensors; `insert(host, path)` puts them into a host.

        Raises:
            InputError: The file cannot be written, or holds something else.
        """
        plan = json.dumps([attached.place.plain() for attached in self.attached()])
        state = {name: value.contiguous() for name, value in self.state_dict().items()}
        target = Path(path)
        if target.exists() and not _holds_insertions(target):
            raise InputError(f"{path}: holds something else than insertions; choose another file")
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            save_file(state, unfinished, metadata={"format": "pt", PLAN: plan})
            unfinished.replace(target)
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(
                f"{path}: cannot be written ({error}); choose a folder that can be written to"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def parameter_groups(
        self, lr: float, *, inserted: float = 10.0, host: float = 1.0, weight_decay: float = 0.0
    ) -> list[dict[str, Any]]:
        """Groups for an optimiser: the insertions learn faster than the host.

        Biases, norms and gains are not decayed. A share of 0 freezes: no gradient, in no group; a
        frozen host's batch norms go on counting unless they are in eval mode.

        Args:
            lr: Learning rate.
            inserted: The insertions' share of it.
            host: The host's share of it.
            weight_decay: Of weights with two or more axes.
        """
        every = set(self.module.parameters())
        new = [p for attached in self.attached() for p in attached.parameters()]
        old = [p for p in self.host.parameters() if p not in every]
        groups = parameter_groups({"inserted": (new, inserted), "host": (old, host)}, weight_decay)
        return [{**group, "lr": lr * group["share"]} for group in groups]

    def host_state_dict(self) -> dict[str, Any]:
        """The host's `state_dict` without the insertions."""
        state = self.host.state_dict()
        return {k: v for k, v in state.items() if not k.startswith(f"{CHILD}.")}

    def __str__(self) -> str:
        height, width = self.image
        rows: list[tuple[str, ...]] = [
            ("after", "layer", "width", "map", "calls", "gain", "parameters", "MFLOP")
        ]
        rows += [
            (
                line.place.name,
                line.place.key,
                str(line.place.channels),
                f"{line.size[0]}x{line.size[1]}",
                str(line.calls),
                line.place.gain,
                f"{line.parameters:,}",
                f"{line.flops / 1e6:,.2f}",
            )
            for line in self.lines
        ]
        count = (
            translate("1 layer")
            if len(self.lines) == 1
            else translate("{lines} layers").format(lines=len(self.lines))
        )
        more = _share(self.parameters, self.host_parameters)
        told = [
            translate("{count} inserted into {name}").format(
                count=count, name=type(self.host).__name__
            ),
            aligned(rows, left=(True, True, False, False, False, True, False, False)),
            translate(
                "added: {parameters:,} parameters ({more} of {host_parameters:,}),"
                " {flops:,.1f} MFLOP ({share}) for a picture of {height}x{width}"
            ).format(
                parameters=self.parameters,
                more=more,
                host_parameters=self.host_parameters,
                flops=self.flops / 1e6,
                share=_share(self.flops, self.host_flops),
                height=height,
                width=width,
            ),
        ]
        if self.differences:
            gaps = ", ".join(
                translate("{gap:g} in {name} mode").format(gap=gap, name=name)
                for name, gap in self.differences.items()
            )
            told.append(
                translate("largest difference of the host's output from before: {gaps}").format(
                    gaps=gaps
                )
            )
        return "\n".join([*told, *self.notes])


def of_network(found: Inserted | nn.Module) -> tuple[list[InsertionPlace], dict[str, Tensor]]:
    """The places and weights of what a report tells of, or of what a network holds.

    Raises:
        InputError: The network holds none, or those of several networks.
    """
    if isinstance(found, Inserted):
        attached = found.attached()
    else:
        groups = [group for part in found.modules() if (group := insertions_of(part))]
        if len(groups) != 1:
            raise InputError(
                f"plan={type(found).__name__}: it holds insertions of {len(groups)} networks; give"
                " one that layers were inserted into"
            )
        attached = groups[0].attached()
    weights = {f"{a.place.name}/{n}": v for a in attached for n, v in a.state_dict().items()}
    return [a.place for a in attached], weights


def _share(part: int, whole: int) -> str:
    if not whole:
        return translate("no share")
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 10 else f"{share:.2g} %"


def _holds_insertions(path: Path) -> bool:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return PLAN in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False
