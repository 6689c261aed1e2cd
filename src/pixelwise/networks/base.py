"""What every network is made of: features in, one tensor of logits out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.kinds import KindsChecked
from pixelwise.layers.placement import layer_of
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.upsampling.base import Upsampler
from pixelwise.layers.upsampling.bilinear import Bilinear
from pixelwise.layers.upsampling.registry import available, create, names, resolve
from pixelwise.networks.parts import StageHead

AUXILIARY = ("auxlayer", "auxiliary_head", "dsn_head", "aux", "head.dsn", "dsn")
"""What the head on the feature map before the last is called in known checkpoints."""


class Outputs(NamedTuple):
    """Logits, the logits of the auxiliary heads by name, and which classes the picture shows."""

    logits: Float[Tensor, "b k h w"]
    auxiliary: dict[str, Tensor]
    presence: Float[Tensor, "b k"] | None = None
    """A logit per picture and class, from networks that predict it."""


class Decoder(ReferenceWeights, ABC, metaclass=KindsChecked):
    """From a backbone's feature maps to logits at the resolution of one of them.

    Subclasses take `(channels, outputs)`: the widths of the feature maps, finest first, and
    the number of logits per pixel. Those that can have the field's usual auxiliary head, a
    `StageHead` on the feature map before the last, call `add_auxiliary` in their constructor.
    """

    key: ClassVar[str]
    """Name in `create_model` and on the command line."""
    title: ClassVar[str]
    """The network's name as the paper has it."""
    year: ClassVar[int]
    """Of the paper."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names that articles and code have for it, beside the class's; case does not matter."""
    summary: ClassVar[str]
    """One line for `pixelwise models`."""
    source: ClassVar[str]
    """The paper."""
    backbone: ClassVar[str] = "resnet50"
    """Where `create_model` is given none."""
    output_stride: ClassVar[int] = 8
    """Input pixels per feature pixel that the authors use; taken where the backbone can."""
    taps: ClassVar[int | None] = None
    """How many maps are read of a plain transformer, from blocks that are evenly spaced; None takes
    timm's, of the last three. `out_indices` among the backbone's options goes before."""
    align_corners: bool = False
    """How maps are resized inside the decoder, and logits to the input's size: as the authors
    do. `create_model(..., align_corners=...)` sets it on the instance."""
    auxiliary_weights: Mapping[str, float] = {}
    """Weight of each auxiliary output in the training loss; "stage3" is the `StageHead`'s."""
    presence_weight: float = 0.0
    """Weight of the presence loss, for networks that predict which classes a picture shows."""
    loss: ClassVar[str] = "cross_entropy"
    """The loss per pixel that the authors train with, a key of `losses.LOSSES`."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary: StageHead | None = None
        self.upsamplers: nn.ModuleList | None = None
        self.upsampler: str | None = None

    def resized(
        self, x: Float[Tensor, "b c _ _"], like: Float[Tensor, "b _ h w"]
    ) -> Float[Tensor, "b c h w"]:
        """`x` at the size of another map, bilinearly, as `align_corners` says."""
        corners = self.align_corners
        return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=corners)

    def add_upsamplers(
        self,
        upsampler: str | None,
        joins: Sequence[tuple[int, int]],
        lacking: str = "",
        *,
        guided: bool = True,
    ) -> None:
        """Take an upsampler for each join of a coarse map with a fine one.

        Args:
            upsampler: Its name, with options as in `"dysample(groups=8)"`; None is as the authors
                resize, "bilinear" the decoder's own `resized`. Neither has parts.
            joins: Channels of the coarse map, and of the fine one.
            lacking: Why these options of the decoder join none, and what to do, for the message.
            guided: Whether fine maps have content, or only a size.

        Raises:
            InputError: There is no such upsampler, a wrong option, nothing to join, or an upsampler
                that looks into the fine map where there is none.
        """
        if upsampler is None:
            return
        try:
            name, options = layer_of(upsampler)
        except InputError as error:
            raise InputError(
                f"upsampler={upsampler!r}: is no name with options; write one of"
                f" {', '.join(names())}, or for example 'dysample(groups=8)'"
            ) from error
        self.upsampler = resolve(name)
        if not joins:
            reason = lacking or "one feature map alone is joined with none"
            raise InputError(f"upsampler={upsampler!r}: {reason}; otherwise leave upsampler out")
        if not guided and available()[self.upsampler].uses_guide:
            raise InputError(
                f"upsampler={upsampler!r}: looks into a finer map, and this decoder has none; take"
                " 'dysample' or 'carafe'"
            )
        made = [create(name, c, g, options) for c, g in joins]
        if self.upsampler != Bilinear.key:
            self.upsamplers = nn.ModuleList(made)

    def enlarged(
        self, join: int, x: Float[Tensor, "b c _ _"], fine: Float[Tensor, "b g h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b g h w"]]:
        """Both maps of the join with this number, at the size of the fine one."""
        if self.upsamplers is None:
            return self.resized(x, fine), fine
        part = self.upsamplers[join]
        assert isinstance(part, Upsampler)
        if not part.uses_guide:
            return part(x, fine), fine  # a call, so that hooks on the part have their effect
        return part.both(x, fine)

    def at_first(
        self, features: Sequence[Float[Tensor, "b _ _ _"]]
    ) -> list[Float[Tensor, "b _ h w"]]:
        """All maps at the size of the first, each joined with it; what it becomes stands first."""
        first, *others = features
        large = []
        for join, x in enumerate(others):
            y, first = self.enlarged(join, x, first)
            large.append(y)
        return [first, *large]

    def add_auxiliary(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        wanted: bool = True,
        width: int | None = None,
        bias: bool = False,
        dropout: float = 0.1,
        activation: str = "relu",
    ) -> None:
        """Put a `StageHead` on the feature map before the last, or note that there is none."""
        if wanted and len(channels) > 1:
            self.auxiliary = StageHead(
                channels[-2],
                outputs,
                width=width,
                bias=bias,
                dropout=dropout,
                activation=activation,
            )
        else:
            rest = {k: v for k, v in self.auxiliary_weights.items() if k != "stage3"}
            self.auxiliary_weights = rest

    def stage_logits(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """The `StageHead`'s logits under their name; empty where there is none."""
        return {} if self.auxiliary is None else {"stage3": self.auxiliary(features[-2])}

    @classmethod
    def reads_class_token(cls, options: Mapping[str, Any]) -> bool:
        """Whether maps have to hold, beside each pixel's channels, those of the class token."""
        return False

    @property
    def running_scales(self) -> tuple[float, ...]:
        """Factors on the picture's sides at which the network runs, the largest first."""
        return (1.0,)

    def unpadded(self, features: Sequence[Tensor]) -> Mapping[nn.Module, tuple[int, int]]:
        """Rows and columns that parts would be given, were their input not padded in `forward`.

        With it, `explain` finds where on the picture a map lies. Other parts are left out.
        """
        return {}

    @abstractmethod
    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the decoder's resolution."""

    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits and auxiliary logits, each at its own resolution."""
        return Outputs(self(features), self.stage_logits(features))

    def reference_name(self, key: str) -> str | None:
        """Our name for `key`; the auxiliary head goes by any of the names in `AUXILIARY`."""
        for name in AUXILIARY:
            if self.auxiliary is not None and key.startswith(name + "."):
                inside = self.auxiliary.reference_name(key.removeprefix(name + "."))
                return None if inside is None else f"auxiliary.{inside}"
        return super().reference_name(key)
