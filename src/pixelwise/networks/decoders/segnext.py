"""SegNeXt's head: the last three maps joined, rebuilt from a few bases, classified.

    z = relu(norm(V * [x_2, up(x_3), up(x_4)]))   up: bilinear, to the size of x_2
    y = hamburger(z)                              see `layers/hamburger.py`
    logits = U dropout(relu(norm(W * y)))         V, W, U: 1x1

V sees each map at its own size: V [x_2, up(x_3), ...] = sum_i up(V_i x_i).

Source: Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation",
NeurIPS 2022, https://arxiv.org/abs/2209.08575.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/ham_head.py (Apache-2.0),
version 1.2.2, LightHamHead. It draws the bases at every call, here they are the same each time; see
the layer, whose option is `draw`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.hamburger import Hamburger
from pixelwise.layers.reference import translated_part
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules, join_pointwise

NORM = "expand.1"


class SegNeXt(Decoder):
    """Matrix decomposition of the last three feature maps.

    Args:
        channels: Widths of the feature maps, finest first; the last three are used.
        outputs: Logits per pixel.
        width: Channels before the classifier; published are 256, 512 on MSCAN-B, 1024 on L.
        ham_width: Channels that are decomposed; None is `width`.
        bases: How many of them rebuild the map.
        groups: Groups of channels with bases of their own.
        train_steps: Steps of the decomposition in training.
        eval_steps: Steps in evaluation.
        norm_groups: Groups of channels that the norms normalise; None has batch norms.
        draw: When bases are drawn: "once", "training" or "always", as the layer has it.
        upsampler: How coarse maps come to the size of the finest used, such as "dysample"; None is
            bilinear. See `pixelwise layers`.

    Shape: finest of the maps used (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range, or norm groups that do not divide the widths.
    """

    key = "segnext"
    title = "SegNeXt"
    year = 2022
    aliases = ("LightHamHead", "LightHam head")
    summary = "three maps joined and rebuilt from a few bases; on MSCAN"
    source = "Guo et al. 2022, https://arxiv.org/abs/2209.08575"
    backbone = "mscan_t"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"squeeze": "squeeze", "align": "align"}),
        "squeeze.gn": "squeeze.1",
        "align.gn": "align.1",
        "hamburger": "hamburger",
        "hamburger.ham_out.gn": f"hamburger.{NORM}",
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 256,
        ham_width: int | None = None,
        bases: int = 16,
        groups: int = 1,
        train_steps: int = 6,
        eval_steps: int = 7,
        norm_groups: int | None = 32,
        draw: str = "once",
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        inner = width if ham_width is None else ham_width
        at_least(1, width=width, ham_width=inner, norm_groups=norm_groups or 1)
        for name, value in (("width", width), ("ham_width", inner)):
            if norm_groups is not None and value % norm_groups:
                raise InputError(
                    f"{name}={value}: must be a multiple of norm_groups={norm_groups}; take such a"
                    " number, or norm_groups=None"
                )
        self.maps = min(len(channels), 3)
        first, *others = channels[-3:]
        self.add_upsamplers(upsampler, [(c, first) for c in others])
        self.squeeze = conv_norm(sum(channels[-3:]), inner)
        self.hamburger = Hamburger(
            inner,
            bases=bases,
            groups=groups,
            train_steps=train_steps,
            eval_steps=eval_steps,
            draw=draw,
        )
        self.align = conv_norm(inner, width)
        if norm_groups is not None:
            self.squeeze[1], self.align[1] = (nn.GroupNorm(norm_groups, c) for c in (inner, width))
            self.hamburger.expand[1] = nn.GroupNorm(norm_groups, inner)
            self.hamburger.note_parts()
        self.classify = classifier(width, outputs)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the finest map used."""
        used = features[-self.maps :]
        if self.upsamplers is None:
            z = join_pointwise(self.squeeze, used, self.resized)
        else:
            z = self.squeeze(torch.cat(self.at_first(used), dim=1))
        return self.classify(self.align(self.hamburger(z)))

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict`, with the layer's bases where the file has none."""
        return translated_part(state_dict, "hamburger", self.hamburger)
