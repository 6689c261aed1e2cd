"""Whether every layer that was inserted into a network still takes part in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.attached import Attached, InsertionPlace, insertions_of
from pixelwise.insertion.examples import Example, example_for, mode, quiet, run
from pixelwise.insertion.hooks import carried
from pixelwise.insertion.listing import aligned
from pixelwise.insertion.settling import settle_one
from pixelwise.language import mark, translate

Found = Literal["takes part", "skipped", "lost"]


@dataclass(frozen=True)
class State:
    """What became of one layer."""

    place: InsertionPlace
    state: Found
    stands: str = ""
    """The module that it stands behind now."""
    calls: int = 0
    """In one forward."""
    gain: float | None = None
    """The gain's mean size; None where the layer has none."""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the layer takes part, with weights that are the network's."""
        return self.state == "takes part" and not self.note


@dataclass(frozen=True)
class Verified:
    """What became of the layers in a network; printing it shows a table."""

    network: str
    states: tuple[State, ...]

    @property
    def ok(self) -> bool:
        """Whether there are layers, and all take part."""
        return bool(self.states) and all(state.ok for state in self.states)

    def __str__(self) -> str:
        if not self.states:
            return translate("nothing is inserted into {network}").format(network=self.network)
        rows: list[tuple[str, ...]] = [("after", "layer", "state", "calls", "gain", "")]
        for one in self.states:
            moved = one.stands not in ("", one.place.name)
            notes = [translate("behind {stands} now").format(stands=one.stands)] if moved else []
            notes += [one.note] if one.note else []
            notes += (
                [translate("no effect yet")] if one.gain == 0 and one.state == "takes part" else []
            )
            gain = "own" if one.place.gain == "own" else "" if one.gain is None else f"{one.gain:g}"
            rows.append(
                (one.place.name, one.place.key, one.state, str(one.calls), gain, "; ".join(notes))
            )
        part = sum(one.ok for one in self.states)
        table = aligned(rows, left=(True, True, True, False, False, True))
        return translate("{table}\n{part} of {states} layers take part in {network}").format(
            table=table, part=part, states=len(self.states), network=self.network
        )


def verify(host: nn.Module, example: Example | None = None) -> Verified:
    """Run a network once, in eval mode, and tell which inserted layers take part.

    Args:
        host: A network that layers were inserted into, a copy of one, or one that holds such a
            network; it stays as it is, but for layers that are put back behind their modules.
        example: The host's input, as `insert` takes it; None finds a small one.

    Raises:
        InputError: The host does not run on the example.
    """
    return verified(host, example, None)


def verified(
    host: nn.Module, example: Example | None, places: Iterable[InsertionPlace] | None
) -> Verified:
    """As `verify`, for the layers at these places; of any that are missing it says so."""
    problems: dict[Attached, str] = {}
    groups = [(part, group) for part in host.modules() if (group := insertions_of(part))]
    for part, group in groups:
        for attached in group.attached():
            try:
                settle_one(part, attached, group, ())
            except InputError as error:
                problems[attached] = str(error).split(": ", 1)[-1].split(";")[0]
    inside = [attached for _, group in groups for attached in group.attached()]
    behind = [hook.attached for module in host.modules() for hook in carried(module)]
    every = list(dict.fromkeys([*inside, *behind]))
    warned = {attached: attached.warned for attached in every}
    for _, group in groups:
        group.checked = False
    try:
        before = _calls(host, example, every)
        if any(a.stands != stood for a, (_, stood) in before.items()):  # that was found in the run
            before = _calls(host, example, every)
    finally:
        for _, group in groups:
            group.checked = True
        for attached, was in warned.items():
            vars(attached)["warned"] = was
    states = []
    for attached in every:
        gain = None if attached.gain is None else float(attached.gain.detach().abs().mean())
        calls = attached.calls - before[attached][0]
        note = problems.get(attached, "")
        state: Found = "lost" if note else "takes part" if calls else "skipped"
        if attached not in inside:
            note = mark(
                "its weights are no part of this network: neither saved nor trained with it"
            )
        states.append(State(attached.place, state, attached.stands, calls, gain, note))
    if places is not None:
        known = {state.place.name: state for state in states}
        states = [known.get(p.name, State(p, "lost", note="no such layer here")) for p in places]
    return Verified(type(host).__name__, tuple(states))


def _calls(
    host: nn.Module, example: Example | None, every: list[Attached]
) -> dict[Attached, tuple[int, str]]:
    """Run a host; how often each layer had been called before, and where it stood."""
    before = {attached: (attached.calls, attached.stands) for attached in every}
    if not every:
        return before
    if example is None:
        example = example_for(host, None)
        before = {attached: (attached.calls, attached.stands) for attached in every}
    try:
        with mode(host, training=False), quiet(), torch.no_grad():
            run(host, example)
    except InputError:
        raise
    except Exception as error:  # whatever a host says of an input that it does not take
        raise InputError(
            f"{type(host).__name__} did not run on the example ({in_one_line(error, 160)}); give"
            " an example= that it takes"
        ) from error
    return before
