"""The maps of an explanation, each with what it cost."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.cost import measured
from pixelwise.explanation.placing import cell
from pixelwise.explanation.reading import key_of, read
from pixelwise.explanation.recording import LayerCall
from pixelwise.explanation.result import LayerMap
from pixelwise.explanation.rollout import Rolled, chain, roll_out


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
    calls: Sequence[LayerCall],
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
        return roll_out(links, last.at) if len(links) > 1 else None

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
