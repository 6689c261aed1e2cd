"""Context encoding network: a code of the whole picture gates the channels, and names its classes.

    x = relu(norm(W3 * x4))               x4: the last feature map
    x = relu(norm(W3 * [x, l_1, ...]))    l_i = relu(norm(W1 x_i)), the maps before it (`lateral`)
    e = code(x),  y = relu(x + g(e) * x)  context encoding
    logits = W1 dropout(y)                per pixel
    presence = W e + b                    per picture: which classes occur in it
    and one convolution on x3, as an auxiliary output

Source: Zhang et al., "Context Encoding for Semantic Segmentation", 2018,
https://arxiv.org/abs/1803.08904.
Reference: github.com/zhanghang1989/PyTorch-Encoding, encoding/models/sseg/encnet.py (MIT), commit
ac74841: auxiliary and presence weights are those of its training scripts. Its networks are
`resnet50s` and `resnet101s` of timm; those for PASCAL-Context have `lateral=2`. mmsegmentation's
EncHead (Apache-2.0) has other names, and resizes the lateral maps to the last one, as here.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.context_encoding import ContextEncoding
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder, Outputs
from pixelwise.networks.parts import conv_modules, inner_width, share

MOST_LATERAL = 8
"""Lateral maps whose names in checkpoints are known."""


class EncNet(Decoder):
    """Context encoding of the last feature map, with a loss on which classes a picture shows.

    Args:
        channels: Widths of the feature maps, finest first; the last two and the lateral ones
            are used.
        outputs: Logits per pixel.
        width: Channels inside; None is a quarter of the last feature map's.
        codes: Codewords of the context encoding.
        lateral: How many feature maps before the last are merged with it.
        lateral_width: Channels of each of them as they are merged; None is `width`.
        presence: Predict which classes the picture shows.
        auxiliary: Train a second head on the feature map before the last.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w), presence (b, outputs).
    Raises: InputError if there are fewer feature maps before the last than `lateral`.
    """

    key = "encnet"
    title = "Context encoding network"
    year = 2018
    aliases = ("EncHead", "EncodingNet")
    summary = "a code of the picture gates channels and predicts its classes (encoding)"
    source = "Zhang et al. 2018, https://arxiv.org/abs/1803.08904"
    align_corners = True
    auxiliary_weights: Mapping[str, float] = {"stage3": 0.2}
    presence_weight = 0.2
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        "conv5": "reduce",
        "connect": "lateral",
        "fusion": "merge",
        "encmodule": "context",
        "encmodule.selayer": "presence",
        "conv6.1": "classify.1",
        # mmsegmentation's names.
        **conv_modules({f"lateral_convs.{i}": f"lateral.{i}" for i in range(MOST_LATERAL)}),
        **conv_modules({"bottleneck": "reduce", "fusion": "merge"}),
        **conv_modules({"enc_module.encoding_project": "context.project"}),
        "enc_module.encoding.0": "context.dictionary",
        "enc_module.encoding.1": "context.norm",
        "enc_module.fc.0": "context.expand",
        "se_layer": "presence",
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        codes: int = 32,
        lateral: int = 0,
        lateral_width: int | None = None,
        presence: bool = True,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= lateral < len(channels):
            raise InputError(
                f"lateral={lateral}: must be from 0 to {len(channels) - 1}, the number of feature"
                " maps before the last; lower it, or take a backbone with more feature maps"
            )
        hidden = inner_width(channels[-1], width)
        before = channels[len(channels) - 1 - lateral : -1]
        self.reduce = conv_norm(channels[-1], hidden, 3)
        beside = share(hidden, 1, lateral_width)
        at_least(1, lateral_width=beside)
        self.lateral = nn.ModuleList(conv_norm(c, beside) for c in before)
        self.merge = conv_norm(hidden + lateral * beside, hidden, 3) if lateral else None
        self.context = ContextEncoding(hidden, codes=codes)
        self.presence = nn.Linear(hidden, outputs) if presence else None
        self.classify = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(hidden, outputs, kernel_size=1))
        self.add_auxiliary(channels, outputs, wanted=auxiliary)

    def _merged(self, features: Sequence[Tensor]) -> Tensor:
        x = self.reduce(features[-1])
        if self.merge is not None:
            before = features[len(features) - 1 - len(self.lateral) : -1]
            maps = [part(y) for part, y in zip(self.lateral, before, strict=True)]
            x = self.merge(torch.cat([x, *(self.resized(y, x) for y in maps)], dim=1))
        return x

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits of the gated features."""
        return self.classify(self.context(self._merged(features)))

    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits per pixel, of the auxiliary head, and of the classes in the picture."""
        gated, code = self.context.gated(self._merged(features))
        present = None if self.presence is None else self.presence(code)
        return Outputs(self.classify(gated), self.stage_logits(features), present)
