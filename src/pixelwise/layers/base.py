"""The interface that every layer fulfils.

A layer writes `plain`, the mechanism as a textbook has it, and `lean`, the same at less cost.
`forward` chooses between the two: it takes the lean form where that gives the same as the plain
one, and the plain form wherever somebody's tool must have its say: see `Layer.altered`.
"""

import functools
import logging
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.kinds import KindsChecked
from pixelwise.layers.alterations import as_made, changed_part, part_kinds, transformed
from pixelwise.layers.benchmarked import Benchmarked, Size
from pixelwise.layers.empty_batch import is_empty, without_images
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import reset
from pixelwise.layers.shared.pointwise import formatted, with_plain_gradient
from pixelwise.ops.running import choice
from pixelwise.ops.running.precision import in_own_type

KINDS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""What maps are made of; float8 is a storage format, and nothing is computed in it."""


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


class Heads(NamedTuple):
    """What the heads of a layer's spatial map are; `explain` shows them so."""

    total: Literal["sum", "mean"] = "mean"
    """One map of all heads: their sum where they share a pixel's weight between them, their mean
    where each has weights of its own."""
    names: str | tuple[str, ...] | None = "head"
    """A name for each, or a word: "base" stands for "base 0", "base 1" and so on. None where a
    head alone says nothing."""


def _looking(maps: Any) -> Any:
    """`maps` of a layer: inputs are checked, and nothing changes.

    In training, batch norms use the statistics of the batch but do not count it.
    """

    @functools.wraps(maps)
    def unmoved(layer: Any, x: Any, *others: Any, **options: Any) -> Maps:
        guided = isinstance(layer, FusionLayer)
        if guided and "guide" in options:
            others = (options.pop("guide"), *others)
        given, rest = (x, *others[:guided]), others[guided:]
        layer.check(*given)
        if is_empty(x):
            run = functools.partial(maps, layer)
            return without_images(layer, lambda *blank: run(*blank, *rest, **options), given)
        norms = [part for part in layer.modules() if isinstance(part, _BatchNorm) and part.training]
        tracking = [norm.track_running_stats for norm in norms]
        for norm in norms:
            norm.track_running_stats = False
        try:
            return maps(layer, x, *others, **options)
        finally:
            for norm, before in zip(norms, tracking, strict=True):
                norm.track_running_stats = before

    return unmoved


class _Built(KindsChecked):
    """Notes of what parts a layer is made, once its constructor is done."""

    def __call__(cls, *args: Any, **options: Any) -> Any:  # noqa: N805
        layer = super().__call__(*args, **options)
        layer.note_parts()
        return layer


class Layer(ReferenceWeights, Benchmarked, ABC, metaclass=_Built):
    """A map from features to features. Subclasses are found by `key`; see the registry.

    A subclass writes `plain` and `maps`, and `lean` where the same numbers can be had cheaper.

    Args:
        channels: Channels of the input.

    Raises:
        InputError: There are no channels.
    """

    key: ClassVar[str]
    """Name on the command line, in configs and in leaderboards."""
    cost_exponent: float
    """The p for which FLOPs grow as (h * w) ** p, with these options; a test measures it."""
    keeps_shape: bool = True
    """Whether the output has the channels, height and width of the input, with these options."""
    limits: Limits = Limits()
    """What inputs the layer cannot take, with these options."""
    lean_for_gradients: ClassVar[bool] = False
    """Whether `lean` is cheaper in backward alone. Where nothing is recorded, and no type is to be
    widened, `forward` then takes `plain`, which torch runs as quickly."""
    map_heads: Heads = Heads()
    """What the heads of `maps(x, at).spatial` are, with these options."""
    title: ClassVar[str]
    """The mechanism's name as the paper has it."""
    year: ClassVar[int | None]
    """Of the paper; None where there is none."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names that articles and code have for it, beside the class's; case does not matter."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        at_least(1, channels=channels)
        self.channels = channels

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "maps" in vars(cls):
            cls.maps = _looking(cls.maps)  # type: ignore[attr-defined]

    def reset_parameters(self) -> None:
        """Initialise again, as the constructor does: here as torch does."""
        reset(*self.children())

    def joined_heads(
        self, heads: Float[Tensor, "heads i j"], x: Float[Tensor, "b c h w"], at: tuple[int, int]
    ) -> Float[Tensor, "joined i j"]:
        """Heads of `maps(x, at)`, one for each thing that `map_heads` names; most have these."""
        return heads

    def note_parts(self) -> None:
        """Take the parts as they stand for those that the layer made."""
        self.made_of = part_kinds(self)

    def altered(self) -> str | None:
        """Why the plain form must be taken, in words, or None.

        The lean form reads weights without calling the modules that hold them, and brings
        derivatives of its own. So the plain form is taken where a part is not the very module that
        the layer made (LoRA adapters, quantised or wrapped parts), where one has hooks (recorders,
        pruning, observers), under the transforms of `torch.func` and in forward-mode
        differentiation. Hooks on all modules at once, as FLOP counters have them, are not looked
        at. `choice.forced(layer=...)` overrules all this.
        """
        if forced := choice.forced_form("layer"):
            return "it is asked for" if forced == "plain" else None
        if torch.compiler.is_compiling() or not as_made(self, self.made_of):
            if part_kinds(self) != self.made_of:
                return "its parts are not those it made"
            if changed := changed_part(self):
                return f"its part {changed!r} has a hook, a wrapper or weights of a foreign type"
        return "it is transformed by torch.func" if transformed() else None

    @property
    def name(self) -> str:
        """What messages call it: its key, or for a part of a network, which has none, its class."""
        return getattr(self, "key", type(self).__name__)

    def check(self, *inputs: Tensor) -> None:
        """Refuse an input that the layer cannot take; `forward` and `maps` begin with this.

        Raises:
            InputError: The input is no tensor of real numbers, has not four axes or other channels
                than the layer, is too small, of a size that does not divide, or one image alone
                where training needs several.
        """
        for name, value in zip(("x", "guide"), inputs, strict=False):
            if not isinstance(value, Tensor):
                raise InputError(
                    f"{name}={type(value).__name__}: layer {self.name!r} takes a tensor; give one, "
                    "e.g. torch.as_tensor(x)"
                )
            if value.dtype not in KINDS:
                raise InputError(
                    f"{name}={value.dtype}: layer {self.name!r} takes real numbers in float64, "
                    "float32, bfloat16 or float16; convert it, e.g. x.float()"
                )
            if value.ndim != 4:
                raise InputError(
                    f"{name}={tuple(value.shape)}: layer {self.name!r} takes maps of shape "
                    "(batch, channels, rows, columns); add the missing axis, e.g. x[None]"
                )
        x = inputs[0]
        if x.shape[1] != self.channels:
            raise InputError(
                f"x={tuple(x.shape)}: layer {self.name!r} was made for {self.channels} channels, "
                f"and this map has {x.shape[1]}; make it with channels={x.shape[1]}, or reorder "
                "the axes to (batch, channels, rows, columns)"
            )
        least, multiple, images = self.limits
        height, width = x.shape[2:]
        if height < least or width < least:
            raise InputError(
                f"x={tuple(x.shape)}: rows and columns of layer {self.name!r} must be at least "
                f"{least}; place the layer where the map is larger"
            )
        if multiple > 1 and (height % multiple or width % multiple):
            raise InputError(
                f"x={tuple(x.shape)}: rows and columns of layer {self.name!r} must be multiples of "
                f"{multiple}; pad the input"
            )
        if self.training and 0 < len(x) < images:
            raise InputError(
                f"x={tuple(x.shape)}: layer {self.name!r} got a batch of {len(x)} and must have at "
                f"least {images} in training, since one vector per image is normalised over the "
                "batch; give more images, or call eval()"
            )


class AttentionLayer(Layer):
    """A layer of one input that weighs features by their content."""

    def forward(self, x: Tensor) -> Tensor:
        """Attend; see `plain` of the layer for the formula.

        Shape:
            (b, c, h, w) -> (b, o, i, j), as the layer says.
        """
        self.check(x)
        if is_empty(x):
            return without_images(self, self.forward, [x])
        plain = _plain_will_do(self, x) or _must_be_plain(self)
        return with_plain_gradient(formatted(self.plain(x), x) if plain else self.lean(x))

    @abstractmethod
    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """The mechanism as a textbook writes it, by calling the parts of the layer."""

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """The same numbers at less cost; by default there is no such form."""
        return formatted(self.plain(x), x)

    @abstractmethod
    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Attention that `forward(x)` uses, for the output pixel `at` (row, column)."""


class FusionLayer(Layer):
    """A layer of two inputs: features, and a guide that says where to look in them."""

    guide_channels: int | None = None
    """Channels of the guide; None where any will do."""

    def check(self, *inputs: Tensor) -> None:
        """As of any layer; the guide must have the channels that the layer was made for.

        Raises:
            InputError: The features or the guide do not fit.
        """
        super().check(*inputs)
        for guide in inputs[1:]:
            if self.guide_channels not in (None, guide.shape[1]):
                raise InputError(
                    f"guide={tuple(guide.shape)}: layer {self.name!r} was made for guides of "
                    f"{self.guide_channels} channels; make it with guide_channels={guide.shape[1]},"
                    " or reorder the axes to (batch, channels, rows, columns)"
                )

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Attend to x as the guide says; see `plain` of the layer for the formula.

        Shape:
            (b, c, h, w), (b, g, i, j) -> (b, o, h, w).
        """
        self.check(x, guide)
        if is_empty(x):
            return without_images(self, self.forward, [x, guide])
        if _must_be_plain(self):
            return with_plain_gradient(formatted(self.plain(x, guide), x))
        return with_plain_gradient(self.lean(x, guide))

    @abstractmethod
    def plain(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b o h w"]:
        """The mechanism as a textbook writes it, by calling the parts of the layer."""

    def lean(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b o h w"]:
        """The same numbers at less cost; by default there is no such form."""
        return formatted(self.plain(x, guide), x)

    @abstractmethod
    def maps(
        self,
        x: Float[Tensor, "b c h w"],
        guide: Float[Tensor, "b g i j"],
        at: tuple[int, int] | None = None,
    ) -> Maps:
        """Attention that `forward(x, guide)` uses, for the output pixel `at` (row, column)."""

    @classmethod
    def benchmark_guide(cls, options: Mapping[str, Any], size: Size) -> Size:
        """The guide with which the layer is measured on a map of `size`: half as fine."""
        images, channels, height, width = size
        return (images, options.get("guide_channels", channels), -(-height // 2), -(-width // 2))


def _plain_will_do(layer: Layer, x: Tensor) -> bool:
    return (
        layer.lean_for_gradients
        and not torch.is_grad_enabled()
        and not choice.traced()
        and not choice.anything_forced()
        and in_own_type(x)
    )


def _must_be_plain(layer: Layer) -> bool:
    reason = layer.altered()
    if reason is not None and not torch.compiler.is_compiling():
        _tell(layer.name, reason)
    return reason is not None


@functools.lru_cache(maxsize=256)
def _tell(name: str, reason: str) -> None:
    """Once: pairs of pixels in the plain form can take a lot more memory."""
    _log.info("layer %r takes its plain form: %s", name, reason)


_log = logging.getLogger(__name__)


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


def pixel_place(x: Float[Tensor, "b c h w"], at: tuple[int, int] | None) -> tuple[int, int]:
    """The pixel `at` (row, column) of `x`, which must be one."""
    height, width = x.shape[2:]
    if at is None:
        raise InputError(
            "at=None: every pixel has a map of its own here; name one as at=(row, column)"
        )
    try:
        row, column = (z if isinstance(z, torch.SymInt) else operator.index(z) for z in at)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"at={at!r}: must be (row, column), two whole numbers; e.g. at=(0, 0)"
        ) from error
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(
            f"at=({row}, {column}): outside of a map of {height} rows and {width} columns; "
            f"rows count from 0 to {height - 1}, columns from 0 to {width - 1}"
        )
    return row, column


def pixel_index(x: Float[Tensor, "b c h w"], at: tuple[int, int] | None) -> int:
    """Where the pixel `at` (row, column) of `x` lies once height and width are one axis."""
    row, column = pixel_place(x, at)
    return row * x.shape[3] + column
