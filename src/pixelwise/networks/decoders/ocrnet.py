"""Object-contextual representations: every pixel asks the regions what it belongs to.

    g = classes(relu(norm(Wr * x3)))     rough logits: where the regions are; the auxiliary output
    y = relu(norm(W * x4))               3x3 convolution
    z = ocr(y, g)                        every pixel fused with what its regions say
    logits = classes(dropout(z))
    a = sigmoid(...(z))                  with several `scales`: where this scale is to be trusted

With `features="all"`, x3 = x4 = the last four feature maps, resized to the finest of them and
concatenated.

Source: Yuan et al., "Object-Contextual Representations for Semantic Segmentation", ECCV 2020,
https://arxiv.org/abs/1909.11065.
Reference: github.com/openseg-group/openseg.pytorch, lib/models/nets/ocrnet.py (MIT), commit
0739f72: the dilated ResNet, `context_bias=True`; its hrnet.py is `features="all", region_kernel=3,
context_bias=True`. github.com/HRNet/HRNet-Semantic-Segmentation, lib/models/seg_hrnet_ocr.py (MIT),
commit 0bbb288, is `features="all"`; github.com/NVIDIA/semantic-segmentation, network/ocrnet.py
(BSD-3-Clause), and DeLightCMU/PSA have that with `scales`. mmsegmentation's FCNHead and OCRHead
(Apache-2.0) are `bias=False` with `region_width=256, dropout=0.1` or `features="all", dropout=0`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.object_context import ObjectContext
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import one_layer_keys
from pixelwise.networks.base import Outputs
from pixelwise.networks.multi_scale import MultiScaleDecoder, Weighed, checked
from pixelwise.networks.parts import ONE_MAP, classifier


def _names() -> dict[str, str]:
    names = {"scale_attn.conv2": "weigh.2"}
    for i in (0, 1):
        names |= {f"scale_attn.conv{i}": f"weigh.{i}.0", f"scale_attn.bn{i}": f"weigh.{i}.1"}
    for start in ("", "ocr."):  # HRNet and openseg; NVIDIA and DeLightCMU
        for theirs in ("conv3x3_ocr", "conv3x3", "conv_3x3"):
            names |= one_layer_keys(start + theirs, "reduce")
        for theirs in ("ocr_distri_head", "spatial_ocr_head"):
            names[start + theirs] = "context"
        for theirs in ("cls_head", "head"):
            names[start + theirs] = "classify"
        for theirs in ("aux_head", "dsn_head"):
            names |= one_layer_keys(start + theirs, "regions")
            names |= {f"{start}{theirs}.{i}": "classify_regions.1" for i in (2, 3)}
    return {  # mmsegmentation's cascade
        **names,
        **one_layer_keys("0.convs.0", "regions"),
        "0.conv_seg": "classify_regions.1",
        **one_layer_keys("1.bottleneck", "reduce"),
        "1": "context",
        "1.conv_seg": "classify",
    }


class OCRNet(MultiScaleDecoder):
    """Object context on the last feature map, or on the last four.

    Args:
        channels: Widths of the feature maps, finest first.
        outputs: Logits per pixel.
        features: "last": pixels are those of the last feature map, and regions are found in the one
            before it (ResNets); "all": both in the last four, concatenated (HRNets).
        width: Channels of the pixels.
        key_width: Channels of queries, keys and values.
        region_width: Channels before the rough logits; None is half of the feature map's for
            "last", and all of them for "all".
        region_kernel: Side of the convolution there; None is 3 for "last" and 1 for "all".
        bias: Whether the convolutions around the object context have biases.
        context_bias: Whether those inside it have.
        dropout: Probability with which a channel is dropped before the classifier in training, and
            for "last" before the rough logits.
        activation: "relu", or "leaky_relu" as in InPlaceABN checkpoints.
        scale_width: Channels of the convolutions that weigh a scale.
        upsampler: How, with features="all", coarse maps come to the size of the finest, such as
            "dysample"; None is bilinear. See `pixelwise layers`.
        scales: Factors on the picture's size at which the network runs, see
            `networks.multi_scale`; in training those up to 1, if these are several.

    Shape: last feature map, or finest of the last four, (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for an option that is out of range.
    """

    key = "ocrnet"
    title = "Object-contextual representations network"
    year = 2020
    aliases = ("OCRHead", "HRNet-OCR", "HRNetV2-OCR")
    summary = "pixels ask regions (ocr), multi-scale"
    source = "Yuan et al. 2020, https://arxiv.org/abs/1909.11065"
    align_corners = True
    auxiliary_weights: Mapping[str, float] = {"regions": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = _names()

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        features: str = "last",
        width: int = 512,
        key_width: int = 256,
        region_width: int | None = None,
        region_kernel: int | None = None,
        bias: bool = True,
        context_bias: bool = False,
        dropout: float = 0.05,
        activation: str = "relu",
        scale_width: int = 256,
        scales: Sequence[float] = (1.0,),
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        one_of(("last", "all"), features=features)
        self.concatenate, self.scales = features == "all", checked(scales)
        first, *others = channels[-4:]
        joins = [(c, first) for c in others] if self.concatenate else []
        self.add_upsamplers(upsampler, joins, lacking="" if self.concatenate else ONE_MAP)
        whole = sum(channels[-4:])
        guide, pixels = (whole, whole) if self.concatenate else (channels[-2:][0], channels[-1])
        own, side = (guide, 1) if self.concatenate else (max(guide // 2, 1), 3)
        inner = own if region_width is None else region_width
        side = side if region_kernel is None else region_kernel
        at_least(1, width=width, region_width=inner, region_kernel=side, scale_width=scale_width)
        self.context = ObjectContext(
            width,
            key_channels=key_width,
            dropout=dropout,
            bias=context_bias,
            activation=activation,
        )
        self.regions = conv_norm(guide, inner, side, bias=bias, activation=activation)
        dropped = 0.0 if self.concatenate else dropout
        self.classify_regions = classifier(inner, outputs, dropout=dropped)
        self.reduce = conv_norm(pixels, width, 3, bias=bias, activation=activation)
        self.classify = nn.Conv2d(width, outputs, kernel_size=1)
        self.weigh: nn.Sequential | None = None
        if len(self.scales) > 1:
            self.weigh = nn.Sequential(
                conv_norm(width, scale_width, 3),
                conv_norm(scale_width, scale_width, 3),
                nn.Conv2d(scale_width, 1, kernel_size=1, bias=False),
                nn.Sigmoid(),
            )

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with batch norms in place of InPlaceABN."""
        return self.context.translated(state_dict)

    def _parts(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Rough logits of the regions, and the pixels fused with what these say."""
        if self.concatenate:
            last = torch.cat(self.at_first(features[-4:]), dim=1)
            before = last
        else:
            before, last = features[-2:][0], features[-1]
        rough = self.classify_regions(self.regions(before))
        pixels = self.reduce(last)
        guide = rough if self.concatenate else self.resized(rough, pixels)
        return rough, self.context(pixels, guide)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits of the pixels, at one scale."""
        return self.classify(self._parts(features)[1])

    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits of the pixels, and the rough ones of the regions."""
        rough, pixels = self._parts(features)
        return Outputs(self.classify(pixels), {"regions": rough})

    def weighed(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Weighed:
        """Both, and where this scale is to be trusted over larger ones."""
        assert self.weigh is not None
        rough, pixels = self._parts(features)
        return Outputs(self.classify(pixels), {"regions": rough}), self.weigh(pixels)
