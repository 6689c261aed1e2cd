"""Point-wise spatial attention network: pixels collect from all others, and distribute to them.

    y = psa(x4)                           x4: the last feature map
    z = relu(norm(W3 * [x4, y]))
    logits = W1 dropout(z)
    and one convolution on x3, as an auxiliary output

Source: Zhao et al., "PSANet: Point-wise Spatial Attention Network for Scene Parsing", ECCV 2018,
https://hszhao.github.io/papers/eccv18_psanet.pdf.
Reference: github.com/hszhao/semseg, model/psanet.py (MIT; its numbers only), commit 4f274c3. Its
networks have ResNets with a stem of 64, 64 and 128 channels (timm's `resnet50s`), all blocks of
layers 3 and 4 dilated alike (`backbone_options={"dilation": "full"}` of `create_model`), and masks
of 2 m - 1 for a shrunk map of m rows and columns: 59 for pictures of 465, 89 for those of 705.
mmsegmentation's PSAHead (Apache-2.0) is other arithmetic, `variant="mmsegmentation"`; its masks
are of 97.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from pixelwise.layers.pointwise_spatial_attention import PointwiseSpatialAttention
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.joined import JoinedContexts
from pixelwise.networks.parts import conv_modules, inner_width


class PSANet(JoinedContexts):
    """Point-wise spatial attention on the last feature map, beside that map.

    Args: as `JoinedContexts` has them, and
        directions: "collect", "distribute" or "both".
        mask_size: Rows and columns of a mask; odd, unless compact.
        compact: Masks of all pixels of the shrunk map, for pictures of one size alone.
        shrink: Factor by which the attention reduces height and width inside.
        softmax: Whether masks go through a softmax, or weigh themselves.
        normalisation: Divisor of what is seen; None is the number of places of a mask.
        variant: "code", or "mmsegmentation", which resizes otherwise.

    Raises: InputError for options out of range.
    """

    key = "psanet"
    title = "Point-wise spatial attention network"
    year = 2018
    aliases = ("PSAHead",)
    summary = "pixels collect and distribute by masks (psanet)"
    source = "Zhao et al. 2018, https://hszhao.github.io/papers/eccv18_psanet.pdf"
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        "psa": "attention",
        "cls": "join",
        "cls.4": "classify.1",
        # mmsegmentation's names.
        **JoinedContexts.reference_keys,
        **conv_modules(
            {
                "reduce": "attention.branches.0.reduce",
                "attention.0": "attention.branches.0.guide",
                "reduce_p": "attention.branches.1.reduce",
                "attention_p.0": "attention.branches.1.guide",
                "proj": "attention.project",
            }
        ),
        "attention.1": "attention.branches.0.mask",
        "attention_p.1": "attention.branches.1.mask",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        directions: str = "both",
        mask_size: tuple[int, int] = (59, 59),
        compact: bool = False,
        shrink: int = 2,
        softmax: bool = True,
        normalisation: float | None = 1.0,
        variant: str = "code",
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        last = channels[-1]
        hidden = inner_width(last, width)
        self.attention = PointwiseSpatialAttention(
            last,
            hidden=hidden,
            directions=directions,
            mask_size=(mask_size[0], mask_size[1]),
            compact=compact,
            shrink=shrink,
            softmax=softmax,
            normalisation=normalisation,
            variant=variant,
            align_corners=True,
        )
        self.join = conv_norm(2 * last, hidden, 3)
        self.add_heads(channels, outputs, width=hidden, auxiliary=auxiliary)

    @property
    def align_corners(self) -> bool:
        """As of every decoder; the attention resizes as the decoder does."""
        return self.attention.align_corners

    @align_corners.setter
    def align_corners(self, wanted: bool) -> None:
        self.attention.align_corners = wanted

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits of what every pixel sees, beside the pixel itself."""
        x = features[-1]
        return self.joined(x, [self.attention(x)])
