"""The attentions of a host: which there are, where their tokens lie, and one pixel's weights.

    found = host_attentions(model, image, size)           some passes, once per network and size
    look(model, image, found.calls, at)                   one forward pass: a map per call

The host computes what it always does, with its own kernels. Only the rows of the asked pixel are
computed beside it, from the same queries and keys; nothing of queries times keys is kept.
"""

import dataclasses
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.autograd.forward_ad as fw
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.explanation.frame import Frame, framed
from pixelwise.explanation.host_forms import Attention
from pixelwise.explanation.host_labels import Injection, Label, Labelling, Reading
from pixelwise.explanation.host_mode import Form, HostMode, Over
from pixelwise.explanation.host_places import NO_PLACE, Placed, placed
from pixelwise.explanation.placing import Area
from pixelwise.networks.segmenter import Segmenter

MOST_REFUSED = 8
"""Passes that try again without the labels of maps that lie elsewhere."""
Counts = tuple[int, int, int]


@dataclass(frozen=True)
class HostCall:
    """One attention of a host, in one forward pass."""

    name: str
    """Of the module that attends; "NAME#2" at its second attention."""
    key: str
    """Its class."""
    number: int
    """Among all attentions of the forward pass, from 1."""
    after: int
    """Layers of this library that were called before it."""
    counts: Counts
    """Of batch rows, windows and heads together; of queries; of keys."""
    placed: Placed | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the queries' grid."""
        assert self.placed is not None
        return self.placed.queries.rows, self.placed.queries.columns

    @property
    def covers(self) -> Area:
        """What it sees, in picture pixels."""
        assert self.placed is not None
        return self.placed.queries.area


@dataclass(frozen=True)
class HostAttentions:
    """Those that can be shown, and why others cannot."""

    calls: tuple[HostCall, ...] = ()
    notes: tuple[str, ...] = ()


class _Listing(HostMode):
    """Which attentions there are, and which products are their logits."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[HostCall] = []
        self.notes: list[str] = []
        self.logits: dict[int, int] = {}
        self.sources: dict[int, int] = {}
        self.products: dict[int, str] = {}
        self._own = 0
        self._times: dict[str, int] = {}

    def attend(self, func: Any, args: Any, options: dict[str, Any], form: Form) -> Any:
        out = func(*args, **options)
        found = form(out)
        place, module = self.stack[-1]
        self._times[place] = times = self._times.get(place, 0) + 1
        name = place if times == 1 else f"{place}#{times}"
        counts = (0, 0, 0) if found is None else found.counts
        key = type(module).__name__
        if self.source is not None:
            self.sources[self.attentions] = self.source
        self.calls.append(HostCall(name, key, self.attentions, self._own, counts))
        return out

    def multiply(
        self, number: int, func: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        out = func(*args, **options)
        pair = [x for x in args if isinstance(x, Tensor)][-2:]
        features = func is not torch.einsum and len(pair) == 2
        features = features and not any(isinstance(x, nn.Parameter) for x in pair)
        features = features and min(pair[0].ndim, pair[1].ndim, out.ndim) >= 3
        if features and pair[0].shape[-1] > max(out.shape[-2:]):
            self.products[number] = self.stack[-1][0]
        return out

    def soften(self, source: int | None, func: Any, args: Any, options: dict[str, Any]) -> Any:
        if source is not None:
            given = args[0] if args else options["input"]
            dim = options.get("dim", args[1] if len(args) > 1 else -1)
            self.logits[source] = int(isinstance(dim, int) and dim % given.ndim == given.ndim - 2)
            self.products.pop(source, None)
        return func(*args, **options)

    def enter_own(self, layer: nn.Module, args: Any, options: Any) -> Any:
        self._own += 1


class _Looking(HostMode):
    """Some attentions, while they run."""

    def __init__(
        self,
        wanted: Mapping[int, Callable[[Attention], None]],
        changed: Mapping[int, Callable[[Tensor], Tensor]],
    ) -> None:
        super().__init__()
        self.wanted, self.changed = wanted, changed

    def attend(self, func: Any, args: Any, options: dict[str, Any], form: Form) -> Any:
        """What is wanted is shown; what is to be changed is."""
        out = func(*args, **options)
        if self.attentions in self.wanted:
            found = form(out)
            assert found is not None
            self.wanted[self.attentions](found)
            if self.attentions == max(self.wanted):
                raise Over
        change = self.changed.get(self.attentions)
        return out if change is None else change(out)


def look(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    wanted: Mapping[int, Callable[[Attention], None]],
    changed: Mapping[int, Callable[[Tensor], Tensor]] | None = None,
) -> None:
    """Run the network, and let each wanted attention, by its number, be looked at.

    Args:
        model: In eval mode, not compiled.
        image: What it is given.
        wanted: What is done with an attention.
        changed: What the result of an attention is replaced by.
    """
    run(_Looking(wanted, changed or {}), model, image)


def run(mode: HostMode, model: nn.Module, image: Tensor) -> None:
    """A forward pass that is looked at, to its end or as far as is wanted."""
    image = image.clone()  # some write into what they are given
    try:
        with mode.over(model):
            model(image)
    except Over:
        pass


_known: "weakref.WeakKeyDictionary[nn.Module, dict[Any, HostAttentions]]" = (
    weakref.WeakKeyDictionary()
)


def host_attentions(
    model: nn.Module, image: Float[Tensor, "1 c h w"], size: tuple[int, int]
) -> HostAttentions:
    """All attentions that a network runs outside of this library's layers.

    Args:
        model: In eval mode, not compiled.
        image: What it is given.
        size: Rows and columns of the picture.
    """
    listing = _Listing()
    run(listing, model, image)
    if not listing.calls:
        return HostAttentions(notes=_linear(listing))
    key = (tuple(image.shape), image.dtype, image.device, size, tuple(listing.calls))
    known = _known.setdefault(model, {})
    if key not in known:
        try:
            known[key] = _placed(model, image, size, listing)
        except (RuntimeError, NotImplementedError) as error:  # an operation without a derivative
            why = str(error).partition("\n")[0]
            lost = tuple(f"{call.name}: {NO_PLACE} ({why})" for call in listing.calls)
            known[key] = HostAttentions(notes=lost)
    return known[key]


def _linear(listing: _Listing) -> tuple[str, ...]:
    shown = {call.name.partition("#")[0] for call in listing.calls}
    return tuple(
        f"{name}: it multiplies features without a softmax, so it has no weights per pixel"
        for name in dict.fromkeys(listing.products.values())
        if name not in shown
    )


def _placed(
    model: nn.Module, image: Tensor, size: tuple[int, int], listing: _Listing
) -> HostAttentions:
    logits, most = dict(listing.logits), len(listing.calls)
    found = _places(model, image, size, logits, most)
    lost = [n for n, one in found.items() if isinstance(one, str) and n in listing.sources]
    if lost:  # perhaps the other factor of their logits holds the queries
        for number in lost:
            logits[listing.sources[number]] ^= 1
        again = _places(model, image, size, logits, most)
        found |= {n: again[n] for n in lost if isinstance(again.get(n), Placed)}
    calls, notes = [], []
    for call in listing.calls:
        place = found.get(call.number, NO_PLACE)
        if isinstance(place, str):
            notes.append(f"{call.name}: {place}")
        else:
            calls.append(dataclasses.replace(call, placed=place))
    return HostAttentions(tuple(calls), (*notes, *_linear(listing)))


def _places(
    model: nn.Module, image: Tensor, size: tuple[int, int], logits: dict[int, int], most: int
) -> dict[int, Placed | str]:
    """The places of every attention's tokens, by its number."""
    coarse = image.dtype not in (torch.float32, torch.float64)
    names: list[Label] = ["one", "row", "column", "random"]
    if coarse:
        names += ["fine row", "fine column"]
    refused: set[int] = set()
    extent = (float(size[0]), float(size[1]))
    for _ in range(MOST_REFUSED):
        injections: dict[int, Injection] = {}
        readings: dict[int, Reading] = {}
        for name in names:
            mode = Labelling(name, injections, readings, logits, most, refused)
            with framed(model, size) as frame, _dual_level(), _rooted(mode, model, frame):
                run(mode, model, mode.root(image, extent))
        wrong = {number for number, made in injections.items() if made.lost}
        if not wrong:
            break
        refused |= wrong
    else:
        return dict.fromkeys(readings, NO_PLACE)
    made = [injections[number] for number in sorted(injections)]
    return {
        number: placed(reading, made[: reading.injections], extent, coarse)
        for number, reading in readings.items()
    }


@contextmanager
def _dual_level() -> Iterator[None]:
    """Forward differentiation; torch warns of itself when it is used first."""
    with warnings.catch_warnings(), fw.dual_level():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def _rooted(mode: Labelling, model: nn.Module, frame: Frame) -> Iterator[None]:
    """Backbones of segmenters get new labels: the frame knows what they see of the picture."""

    def enter(backbone: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (mode.root(args[0], frame.covers(backbone, args[0])), *args[1:])

    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, Segmenter):
                stack.callback(module.backbone.register_forward_pre_hook(enter).remove)
        yield
