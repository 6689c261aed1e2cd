"""What every network is made of: features in, one tensor of logits out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor

from pixelwise.layers.reference import ReferenceWeights


class Outputs(NamedTuple):
    """Logits, and the logits of the auxiliary heads by name."""

    logits: Tensor
    auxiliary: dict[str, Tensor]


class Decoder(ReferenceWeights, ABC):
    """From a backbone's feature maps to logits at the resolution of one of them.

    Subclasses take `(channels, outputs)`: the widths of the feature maps, finest first, and
    the number of logits per pixel.
    """

    key: ClassVar[str]
    """Name in `create_model` and on the command line."""
    summary: ClassVar[str]
    """One line for `pixelwise models`."""
    source: ClassVar[str]
    """The paper."""
    output_stride: ClassVar[int] = 8
    """Input pixels per feature pixel that the authors use; taken where the backbone can."""
    align_corners: ClassVar[bool] = False
    """How logits are brought to the input's size."""
    auxiliary_weights: ClassVar[Mapping[str, float]] = {}
    """Weight of each auxiliary output in the training loss."""

    @abstractmethod
    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the decoder's resolution."""

    @abstractmethod
    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits and auxiliary logits, each at its own resolution."""
