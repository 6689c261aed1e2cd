"""What an explanation is: plain data, without a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

Kind = Literal["pixel", "shared", "channel"]
"""Weights of the asked pixel; weights or gates that all pixels share; channels only."""


@dataclass(frozen=True)
class LayerMap:
    """What one attention layer's `forward` used for the asked pixel."""

    name: str
    """The layer's place in the network; its second call is "NAME#2"."""
    key: str
    """Key of the layer."""
    kind: Kind
    at: tuple[int, int]
    """The layer's pixel (row, column) that covers the asked one."""
    size: tuple[int, int]
    """Rows and columns of the layer's map."""
    seconds: float
    """Time to compute the map."""
    peak_bytes: int
    """Memory that computing the map needed above what was there before."""
    spatial: Float[Tensor, "h w"] | None = None
    """A weight per pixel, all parts together; on the CPU."""
    parts: Mapping[str, Float[Tensor, "_ _"]] = field(default_factory=dict)
    """What it is made of, where that says more: "collect" and "distribute", bases, regions."""
    channel: Float[Tensor, " c"] | None = None
    """A gate or a weight per channel."""
    gain: float | None = None
    """Of an inserted layer: the mean size of its gain; 0 is no effect yet."""
    covers: tuple[float, float] | None = None
    """What the map lies on, in picture pixels from the upper left corner: more than the picture
    where the network padded it. None is the picture."""
    heads: Float[Tensor, "heads h w"] | None = None
    """Weights per head, of attention that is the network's own; on the CPU."""
    apart: float = 0.0
    """Weight, mean of the heads, on tokens that are no pixels: class tokens and registers."""
    proof: float | None = None
    """Largest difference of weights times values from what the attention gave there, relative to
    the largest value given; of attention that is the network's own."""


@dataclass(frozen=True)
class Deletion:
    """What the prediction at the asked pixel becomes while pixels are deleted.

    Deleted pixels get the picture's mean colour. If a map tells what matters, deleting by it takes
    the probability down faster than deleting at random.
    """

    name: str
    """Whose map gave the order."""
    shares: tuple[float, ...]
    """Share of the picture's pixels deleted, from 0 up."""
    attended: tuple[float, ...]
    """Probability of the predicted class, the most attended pixels deleted first."""
    random: tuple[tuple[float, ...], ...]
    """The same for each of several random orders."""
    seconds: float

    @property
    def advantage(self) -> float:
        """Mean over the shares of random's probability minus that of the attended order."""
        means = [sum(column) / len(column) for column in zip(*self.random, strict=True)]
        gaps = [m - a for m, a in zip(means, self.attended, strict=True)]
        return sum(gaps) / len(gaps)


@dataclass(frozen=True)
class ClassMap:
    """Where the evidence for a class lies: a plain baseline, not an attention map."""

    method: Literal["gradient", "occlusion"]
    place: str
    """The layer whose features are weighed (gradient), or what was covered (occlusion)."""
    class_index: int
    class_name: str
    values: Float[Tensor, "h w"]
    seconds: float
    peak_bytes: int
    covers: tuple[float, float] | None = None
    """As of a `LayerMap`."""


@dataclass(frozen=True)
class Reach:
    """How far a share of a receptive field's energy lies."""

    share: float
    """Of the energy, 0 to 1; that of the asked pixel itself aside, where there is one."""
    radius: float | None
    """Of the circle around the asked pixel that holds it, in pixels; None for a network that
    answers for the picture as a whole, or where all energy is the pixel's own."""
    area: float
    """Share of the picture's pixels: of those in the circle, or, without one, the fewest pixels
    that hold it."""


@dataclass(frozen=True)
class ReceptiveField:
    """On which pixels of the picture the logits at the asked pixel depend, by gradients.

    This is no attention: see `pixelwise.receptive` for what is computed.
    """

    values: Float[Tensor, "h w"]
    """Gradient energy of every pixel, of sum 1; on the CPU."""
    own: float
    """The asked pixel's share of it; 0 for a network that answers for the picture as a whole."""
    reaches: tuple[Reach, ...]
    """For half of the energy, and for nine tenths."""
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Findings:
    """All that an explanation says of one pixel of a picture."""

    picture: UInt8[ndarray, "h w 3"]
    at: tuple[int, int]
    """The asked pixel, (row, column)."""
    class_index: int
    """The class predicted there."""
    class_name: str
    probability: float
    """Of the predicted class, 0 to 1."""
    maps: tuple[LayerMap, ...]
    """In the order of the layers' calls."""
    rollout: LayerMap | None = None
    """Attention composed across layers, where that is defined."""
    deletions: tuple[Deletion, ...] = ()
    class_maps: tuple[ClassMap, ...] = ()
    receptive: ReceptiveField | None = None
    """What the answer depends on; of every network that uses no attention, else on request."""
    notes: tuple[str, ...] = ()
    """What is not shown, and why: a sentence each."""
    seconds: float = 0.0
    """Time of the whole explanation."""
