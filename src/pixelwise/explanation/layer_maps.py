"""The maps of an explanation, each with what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.cost import measured
from pixelwise.explanation.host_calls import HostCall
from pixelwise.explanation.host_maps import host_maps
from pixelwise.explanation.placing import cell
from pixelwise.explanation.reading import key_of, read
from pixelwise.explanation.recording import LayerCall
from pixelwise.explanation.result import LayerMap
from pixelwise.explanation.rollout import AnyCall, Rolled, chain, roll_out
from pixelwise.language import mark

NO_QUERY = mark("none of its queries lies on the asked pixel")


@dataclass(frozen=True)
class Looked:
    """Calls, the map of each, and why others have none."""

    calls: tuple[AnyCall, ...]
    maps: tuple[LayerMap, ...]
    notes: tuple[str, ...]


def in_order(layers: Sequence[LayerCall], hosts: Sequence[HostCall]) -> list[AnyCall]:
    """The calls of this library's layers and those of the host, as they ran."""
    own = [((place, 1, 0), call) for place, call in enumerate(layers)]
    other = [((call.after, 0, call.number), call) for call in hosts]
    both: list[tuple[tuple[int, int, int], AnyCall]] = [*own, *other]
    return [call for _, call in sorted(both, key=lambda pair: pair[0])]


def layer_maps(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    calls: Sequence[AnyCall],
    at: tuple[int, int],
) -> Looked:
    """The map that each call used for the picture's pixel `at`."""
    own = host_maps(model, image, [call for call in calls if isinstance(call, HostCall)], at)
    shown: list[tuple[AnyCall, LayerMap]] = []
    notes = []
    for call in calls:
        if not isinstance(call, HostCall):
            shown.append((call, layer_map(call, at)))
        elif call.name in own:
            shown.append((call, own[call.name]))
        else:
            notes.append(f"{call.name}: {NO_QUERY}")
    return Looked(tuple(call for call, _ in shown), tuple(one for _, one in shown), tuple(notes))


def layer_map(call: LayerCall, at: tuple[int, int]) -> LayerMap:
    """The map that one call of a layer used for the picture's pixel `at`."""
    own = cell(at, call.size, call.covers)
    done = measured(lambda: read(call.layer, call.inputs, own), call.inputs[0].device)
    reading = done.result
    map_size = call.inputs[0].shape[2:] if reading.spatial is None else reading.spatial.shape
    return LayerMap(
        name=call.name,
        key=key_of(call.layer),
        kind=reading.kind,
        at=own,
        size=(map_size[0], map_size[1]),
        seconds=done.seconds,
        peak_bytes=done.peak_bytes,
        spatial=None if reading.spatial is None else reading.spatial.cpu(),
        parts={name: part.cpu() for name, part in reading.parts.items()},
        channel=None if reading.channel is None else reading.channel.cpu(),
        gain=call.gain,
        covers=call.covers,
    )


def rollout_map(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    calls: Sequence[AnyCall],
    maps: Sequence[LayerMap],
) -> LayerMap | None:
    """The composed map of the calls whose maps these are.

    None unless two of them or more follow each other whose pixels have weights of their own, none
    of them negative.
    """
    able = [
        (call, one)
        for call, one in zip(calls, maps, strict=True)
        if one.kind == "pixel" and one.spatial is not None and one.spatial.min() >= 0
    ]
    if len(able) < 2:
        return None
    last = able[-1][1]

    def run() -> Rolled | None:
        links = chain(model, image, [call for call, _ in able])
        return roll_out(links, last.at, model=model, image=image) if len(links) > 1 else None

    done = measured(run, image.device)
    if done.result is None:
        return None
    spatial = done.result.spatial
    return LayerMap(
        name="rollout",
        key="rollout",
        kind="pixel",
        at=last.at,
        size=(spatial.shape[0], spatial.shape[1]),
        seconds=done.seconds,
        peak_bytes=done.peak_bytes,
        spatial=spatial.cpu(),
        parts={name: part.cpu() for name, part in done.result.chain.items()},
        covers=last.covers,
    )
