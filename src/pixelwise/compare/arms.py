"""What is compared: a host with nothing, with each mechanism, and with plain convolutions instead.

Every arm trains the same host: its weights are drawn before layers are inserted, so they are the
same for a seed. A layer begins as the identity. A mechanism's control stands at the same places
with the same parameters and operations. Where a mechanism's steps take longer, the host with
nothing is trained once more, for as much longer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pixelwise.compare.controls import control
from pixelwise.errors import InputError
from pixelwise.insertion.insert import cost_at, insert
from pixelwise.insertion.inserted import Inserted
from pixelwise.layers.placement import Placement, layer_text, parse, to_text
from pixelwise.layers.registry import asked, resolve
from pixelwise.networks.segmenter import Segmenter

NONE, CONTROL = "none", "control"
KEY = "conv"
"""The layer that controls are made of."""


@dataclass(frozen=True)
class Arm:
    """A network that is trained with every seed.

    Args:
        name: For people and folders.
        plan: What is inserted, as `insert` takes it; None: nothing.
        control_of: Whose cost it has; None: it is no control.
        places: Where something is inserted.
        parameters: Added to the host's.
        operations: Added, for one image of the size that was asked for.
        apart: Of a control: the largest relative difference of a place from the mechanism's
            parameters or operations.
        longer: How many times as many steps as the others it is trained for.
    """

    name: str
    plan: str | None = None
    control_of: str | None = None
    places: tuple[str, ...] = ()
    parameters: int = 0
    operations: int = 0
    apart: float = 0.0
    longer: float = 1.0


def arms(
    host: Segmenter, mechanisms: Sequence[str], where: Sequence[str], size: tuple[int, int]
) -> list[Arm]:
    """The arms of a comparison; the host is as before afterwards.

    Args:
        host: The network without attention.
        mechanisms: "none", "control" for a control of each other one, and layers such as "se" or
            "isa(down_factors=[(8, 8)])".
        where: Places of `insert`, such as "layer4" or "each stage".
        size: Height and width for the operations.

    Raises:
        InputError: No mechanism, one twice, or one that does not fit at a place.
    """
    layers = checked_layers(mechanisms)
    places = [_place(host, place) for place in where]
    found = [Arm(NONE)] if NONE in mechanisms else []
    for name in layers:
        plan = to_text(Placement(place, *_layer(name)) for place in places)
        report = cost_at(insert(host, plan), size)
        try:
            found.append(_arm(name, plan, report))
            if CONTROL in mechanisms and _layer(name)[0] != KEY:
                found.append(_control(name, report))
        finally:
            report.remove()
    return found


def spelt(mechanisms: Sequence[str]) -> tuple[str, ...]:
    """What somebody typed, with the one key of each layer; options stay as they are written.

    Raises:
        InputError: One is no layer.
    """
    found = []
    for name in mechanisms:
        if name not in (NONE, CONTROL):
            (one,) = parse(f"{name}@1", "attention")
            if (key := asked(one.key, "attention")) != one.key:
                name = layer_text(one._replace(key=key))
        found.append(name)
    return tuple(found)


def checked_layers(mechanisms: Sequence[str]) -> list[str]:
    """Those that are layers, as they are written.

    Raises:
        InputError: There is none, one is there twice, or is no layer; options are checked later.
    """
    layers = [name for name in mechanisms if name not in (NONE, CONTROL)]
    if not layers:
        raise InputError(
            f"attention={','.join(mechanisms)}: names no mechanism; e.g. none,control,se,psa_s"
        )
    for name in layers:
        _layer(name)
    if len({*mechanisms}) < len(mechanisms):
        twice = next(name for name in mechanisms if [*mechanisms].count(name) > 1)
        raise InputError(f"attention: has {twice!r} twice; leave it out once")
    return layers


def longer(arms: Sequence[Arm], factors: Mapping[str, float]) -> list[Arm]:
    """`none`, trained for as much longer as mechanisms take; one for each factor above 1.

    Args:
        arms: Of the comparison; without `none` there is nothing to train longer.
        factors: Mechanism -> how many times as long; without those that are as fast as `none`.
    """
    if all(arm.name != NONE for arm in arms):
        return []
    found = sorted({factors.get(arm.name, 1.0) for arm in arms if is_mechanism(arm)})
    return [
        Arm(f"{NONE}, {factor:g} times as long", longer=factor) for factor in found if factor > 1
    ]


def is_mechanism(arm: Arm) -> bool:
    """Whether it is what the comparison is about."""
    return arm.plan is not None and arm.control_of is None


def _place(host: Segmenter, name: str) -> str:
    """A stage's number where `layer3` or `stage3` names none of the host's modules."""
    stage = re.fullmatch(r"(?:layer|stage)([1-4])", name)
    return stage[1] if stage and stage[0] not in dict(host.named_modules()) else name


def _layer(name: str) -> tuple[str, dict[str, object]]:
    (one,) = parse(f"{name}@1", "attention")
    return resolve(one.key, "attention"), dict(one.options)


def _arm(name: str, plan: str, report: Inserted) -> Arm:
    places = tuple(place.name for place in report.places)
    return Arm(name, plan, None, places, report.parameters, report.flops)


def _control(name: str, report: Inserted) -> Arm:
    """Plain convolutions at the places of a mechanism, each of the cost of what stands there."""
    placements, apart, parameters, operations = [], 0.0, 0, 0
    for line in report.lines:
        place = line.place
        each = line.flops // line.calls
        found = control(place.channels, line.size, max(1, line.parameters), max(1, each))
        placements.append(Placement(place.name, KEY, dict(found.options)))
        apart = max(apart, found.difference)
        parameters += found.parameters
        operations += found.operations * line.calls
    names = tuple(line.place.name for line in report.lines)
    return Arm(
        f"{CONTROL} of {name}", to_text(placements), name, names, parameters, operations, apart
    )
