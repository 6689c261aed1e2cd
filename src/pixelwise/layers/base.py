"""The interface that every layer fulfils."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import reset


class Maps(NamedTuple):
    """What a layer attends to. A field is None where the mechanism has no such map."""

    spatial: Float[Tensor, "b heads h w"] | None = None
    """A weight or a gate for every pixel; where each channel has its own, a head per channel."""
    channel: Float[Tensor, "b c"] | Float[Tensor, "b c c"] | None = None
    """A gate for every channel, or for every channel its weights of the channels (rows)."""


class Limits(NamedTuple):
    """What a layer cannot take, where the mechanism itself sets a limit."""

    least: int = 1
    """Rows and columns of the input at least."""
    multiple: int = 1
    """Rows and columns must be multiples of it."""
    images: int = 1
    """Images in a training batch at least: where one vector per image is normalised over them."""


class Layer(ReferenceWeights, ABC):
    """A map from features to features. Subclasses are found by `key`; see the registry."""

    key: ClassVar[str]
    """Name on the command line, in configs and in leaderboards."""
    cost_exponent: float
    """The p for which FLOPs grow as (h * w) ** p, with these options; a test measures it."""
    keeps_shape: bool = True
    """Whether the output has the channels, height and width of the input, with these options."""
    limits: Limits = Limits()
    """What inputs the layer cannot take, with these options."""
    title: ClassVar[str]
    """The mechanism's name as the paper has it."""
    year: ClassVar[int | None]
    """Of the paper; None where there is none."""

    def reset_parameters(self) -> None:
        """Initialise again, as the constructor does: here as torch does."""
        reset(*self.children())

    def check(self, x: Float[Tensor, "b c h w"]) -> None:
        """Refuse an input beyond `limits`; `forward` of a layer that has any begins with this.

        Raises:
            InputError: The input is too small, of a size that does not divide, or one image alone
                where training needs several.
        """
        least, multiple, images = self.limits
        height, width = x.shape[2:]
        if height < least or width < least:
            raise InputError(
                f"layer {self.key!r} got a map of {height} rows and {width} columns: both must be "
                f"at least {least}; place the layer where the map is larger"
            )
        if multiple > 1 and (height % multiple or width % multiple):
            raise InputError(
                f"layer {self.key!r} got a map of {height} rows and {width} columns: both must be "
                f"multiples of {multiple}; pad the input"
            )
        if self.training and len(x) < images:
            raise InputError(
                f"layer {self.key!r} got a batch of {len(x)}: must be at least {images} in "
                "training, since one vector per image is normalised over the batch; "
                "give more images, or call eval()"
            )


class AttentionLayer(Layer):
    """A layer of one input that weighs features by their content."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Attend; see the subclass for the formula."""

    @abstractmethod
    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Attention that `forward(x)` uses, for the output pixel `at` (row, column)."""


class FusionLayer(Layer):
    """A layer of two inputs: features, and a guide that says where to look in them."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b o h w"]:
        """Attend to x as the guide says; see the subclass for the formula."""

    @abstractmethod
    def maps(
        self,
        x: Float[Tensor, "b c h w"],
        guide: Float[Tensor, "b g i j"],
        at: tuple[int, int] | None = None,
    ) -> Maps:
        """Attention that `forward(x, guide)` uses, for the output pixel `at` (row, column)."""


MapsMethod = TypeVar("MapsMethod", bound=Callable[..., Maps])


def pure(maps: MapsMethod) -> MapsMethod:
    """Let `maps` change nothing: in training, batch norms use the batch but do not count it."""

    @functools.wraps(maps)
    def unmoved(layer: Layer, *args: Any, **kwargs: Any) -> Maps:
        norms = [part for part in layer.modules() if isinstance(part, _BatchNorm) and part.training]
        tracking = [norm.track_running_stats for norm in norms]
        for norm in norms:
            norm.track_running_stats = False
        try:
            return maps(layer, *args, **kwargs)
        finally:
            for norm, before in zip(norms, tracking, strict=True):
                norm.track_running_stats = before

    return cast("MapsMethod", unmoved)


def reduced(channels: int, reduction: int, hidden: int | None) -> int:
    """The width of a bottleneck: `hidden` itself, or `channels // reduction`."""
    at_least(1, channels=channels, reduction=reduction)
    if hidden is not None:
        at_least(1, hidden=hidden)
        return hidden
    if reduction > channels:
        raise InputError(
            f"reduction={reduction}: must not exceed channels={channels}; "
            "lower it, or give the width as hidden"
        )
    return channels // reduction


def pixel_index(x: Float[Tensor, "b c h w"], at: tuple[int, int] | None) -> int:
    """Where the pixel `at` (row, column) of `x` lies once height and width are one axis."""
    height, width = x.shape[2:]
    if at is None:
        raise InputError(
            "at=None: every pixel has a map of its own here; name one as at=(row, column)"
        )
    row, column = at
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(
            f"at=({row}, {column}): outside of a map of {height} rows and {width} columns; "
            f"rows count from 0 to {height - 1}, columns from 0 to {width - 1}"
        )
    return row * width + column
