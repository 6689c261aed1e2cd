"""A picture as a network saw it: its answer, and what the maps of a click are computed from.

    seen = see(model, image, missing)           the network runs once per picture
    look(seen, at)                              a click: rows of maps, nothing of the network again

Attention of the network's own that is no layer of this library has no inputs to keep: for such a
network, and only there, a click runs it once more.
"""

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from pixelwise.explanation.host_calls import HostAttentions, HostCall, host_attentions
from pixelwise.explanation.host_maps import host_maps
from pixelwise.explanation.layer_maps import NO_QUERY, in_order
from pixelwise.explanation.placing import Area, cell
from pixelwise.explanation.reading import key_of, read
from pixelwise.explanation.recording import LayerCall, evaluated, recorded
from pixelwise.explanation.rollout import AnyCall
from pixelwise.layers.base import Layer
from pixelwise.networks.model import Model
from pixelwise.networks.segmenter import Segmenter
from pixelwise.pictures import displayable
from pixelwise.predict.fixed import predictor_of
from pixelwise.predict.images import network_input, seen_of
from pixelwise.serve.reach import SHARES, radii
from pixelwise.serve.remembering import Memory

SMALL = 64
_known: "weakref.WeakKeyDictionary[Segmenter, bool]" = weakref.WeakKeyDictionary()
Map = dict[str, Any]
"""A layer's map as the page is told it; see `layer` in docs/serve.md."""


@dataclass(eq=False)
class Seen:
    """What is kept of a picture for one network."""

    model: Model
    picture: UInt8[ndarray, "h w 3"]
    """What the network saw, for display."""
    logits: Float[Tensor, "k i j"]
    missing: Bool[Tensor, "h w"] | None
    calls: tuple[AnyCall, ...]
    image: Float[Tensor, "1 c h w"] | None
    """The network's input, where a click runs it again."""
    notes: tuple[str, ...] = ()
    shared: dict[str, Map] = field(default_factory=dict)
    """Maps that are the same for every pixel, once they are known."""
    memories: dict[str, Memory] = field(default_factory=dict)
    """What clicks have in common, by layer."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def kept(self) -> int:
        """Bytes that it holds."""
        tensors = [self.logits, *([] if self.image is None else [self.image])]
        tensors += [x for call in self.calls if isinstance(call, LayerCall) for x in call.inputs]
        shared = sum(memory.bytes for memory in list(self.memories.values()))
        return self.picture.nbytes + sum(t.numel() * t.element_size() for t in tensors) + shared


def see(model: Model, image: Shaped[Tensor, "c h w"], missing: Bool[Tensor, "h w"] | None) -> Seen:
    """Run a network on a picture of raw values and keep what clicks need.

    The caller keeps other threads from running the same network at the same time.
    """
    kind, shown = image.dtype, seen_of(model, image)
    as_seen = shown
    if kind == torch.uint8 != shown.dtype:  # as it was, not stretched
        as_seen = shown.round().clamp(0, 255).to(kind)
    size = (shown.shape[1], shown.shape[2])
    run = predictor_of(model)
    calls: tuple[AnyCall, ...] = ()
    notes: tuple[str, ...] = ()
    kept = None
    with torch.no_grad(), evaluated(model):
        given = network_input(model, shown[None])
        if isinstance(model, Segmenter):
            with recorded(model, size) as layers:
                logits = model(given)
            hosts = host_attentions(model, given, size) if _attends(model) else HostAttentions()
            calls, notes = tuple(in_order(layers, hosts.calls)), hosts.notes
            kept = given if hosts.calls else None
            if run is not model:  # as where a mirrored picture is asked, too
                logits = run(given)
        else:
            logits = run(given)
    whole = missing if missing is None or missing.shape == size else None
    return Seen(model, displayable(as_seen), logits[0].float().cpu(), whole, calls, kept, notes)


def _attends(model: Segmenter) -> bool:
    """Whether a network may have attention of its own; asked once, on a small picture."""
    if model not in _known:
        side = max(SMALL, 2 * model.multiple)
        blank = torch.zeros(1, model.config.in_channels, side, side, device=model.device)
        try:
            found = host_attentions(model, blank, (side, side))
            _known[model] = bool(found.calls or found.notes)
        except (RuntimeError, ValueError):  # too small a picture for it
            return True
    return _known[model]


def look(seen: Seen, at: tuple[int, int]) -> list[Map]:
    """The map of every attention layer from the picture's pixel `at`, in their order."""
    with torch.no_grad(), evaluated(seen.model):
        wanted = [call for call in seen.calls if isinstance(call, HostCall)]
        hosts = {}
        if wanted and seen.image is not None:
            hosts = host_maps(seen.model, seen.image, wanted, at)
        found = []
        for call in seen.calls:
            if isinstance(call, LayerCall):
                found.append(_of_layer(seen, call, at))
            elif call.name in hosts:
                one = hosts[call.name]
                assert one.spatial is not None
                found.append(
                    _told(call, at, one.at, one.kind, one.spatial, None, one.covers or call.covers)
                )
            else:
                found.append(_without(call, at, NO_QUERY))
    return found


def _of_layer(seen: Seen, call: LayerCall, at: tuple[int, int]) -> Map:
    own = cell(at, call.size, call.covers)
    if call.name in seen.shared:
        return {**seen.shared[call.name], "at": own}
    roots = [*call.layer.parameters(), *call.layer.buffers(), *call.inputs]
    memory = seen.memories.setdefault(call.name, Memory(roots))
    try:
        with memory.click():
            reading = read(call.layer, call.inputs, own)
    except (RuntimeError, ValueError) as error:  # one layer without a map hides no other
        return _without(call, at, " ".join(str(error).split())[:200])
    told = _told(call, at, own, reading.kind, reading.spatial, reading.channel, call.covers)
    joins = type(call.layer).joined_heads is not Layer.joined_heads
    if reading.kind != "pixel" and not joins:
        seen.shared[call.name] = told
    return told


def _told(
    call: AnyCall,
    at: tuple[int, int],
    own: tuple[int, int],
    kind: str,
    spatial: Tensor | None,
    channel: Tensor | None,
    covers: Area,
) -> Map:
    weights = None if spatial is None else np.nan_to_num(_numbers(spatial))
    ends: Sequence[float | None] = (None,) * len(SHARES)
    if weights is not None and kind == "pixel":
        ends = radii(weights, at, covers)
    height, width = call.size if weights is None else weights.shape
    return {
        "name": call.name,
        "key": key_of(call.layer) if isinstance(call, LayerCall) else call.key,
        "kind": kind,
        "at": own,
        "height": height,
        "width": width,
        "covers": covers,
        "map": weights,
        "channel": None if channel is None else np.nan_to_num(_numbers(channel)),
        "radius50": ends[0],
        "radius90": ends[1],
        "note": None,
    }


def _without(call: AnyCall, at: tuple[int, int], note: str) -> Map:
    own = cell(at, call.size, call.covers)
    told = _told(call, at, own, "pixel", None, None, call.covers)
    return {**told, "note": note}


def _numbers(values: Tensor) -> ndarray:
    found: ndarray = values.detach().float().cpu().numpy()
    return found


def timed_look(seen: Seen, at: tuple[int, int]) -> tuple[list[Map], float]:
    """`look`, and the milliseconds that it took."""
    start = time.perf_counter()
    found = look(seen, at)
    return found, 1000 * (time.perf_counter() - start)
