"""Dual attention network: pixels attend to pixels, channels to channels, side by side.

    p = W2p * pam(W1p * x)            position attention on a quarter of the width
    c = W2c * cam(W1c * x)            channel attention, likewise
    logits = W (p + c)                and Wp p, Wc c as two auxiliary outputs

Each W* is a 3x3 convolution with batch norm and ReLU, the classifiers are dropout and a 1x1
convolution. The paper's loss is the sum of the three cross-entropies.

Source: Fu et al., "Dual Attention Network for Scene Segmentation", 2019,
https://arxiv.org/abs/1809.02983.
Reference: github.com/junfu1115/DANet, encoding/models/sseg/danet.py (MIT), commit b0a0fa0. Its
published weights use ResNet-101 at output stride 8 with layer 4 dilated by 4, 8, 16
(`multi_grid=(4, 8, 16)` of `create_model`). The repository's newest loss class cannot train
three outputs; the paper's sum is used here. mmsegmentation's DAHead (Apache-2.0) is the same
network with other names and free widths.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.layers.channel_attention import ChannelAttention
from pixelwise.layers.position_attention import PositionAttention
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder, Outputs
from pixelwise.networks.parts import classifier, conv_modules


class DANet(Decoder):
    """Position and channel attention on the last feature map, summed.

    Args:
        channels: Widths of the feature maps, finest first; the last is used.
        outputs: Logits per pixel.
        width: Width of both branches; None is a quarter of the last feature map's.
        key_width: Width of position attention's query and key; None is an eighth of `width`.
        auxiliary: Train a fourth head on the feature map before the last, as mmsegmentation does.
        variant: Of position attention: "code", or "untransposed" for weights that were trained so
            (`layers/position_attention.py`); a head with the names `pam_conv1`, ... is.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for a width under 8, where no query would be left.
    """

    key = "danet"
    title = "Dual attention network"
    year = 2019
    aliases = ("DAHead", "DANetHead", "dual attention")
    summary = "position (pam) and channel (cam) attention side by side"
    source = "Fu et al. 2019, https://arxiv.org/abs/1809.02983"
    align_corners = True
    auxiliary_weights: Mapping[str, float] = {"position": 1.0, "channel": 1.0, "stage3": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        "conv5a": "position_reduce",
        "sa": "position",
        "conv51": "position_expand",
        "conv6.1": "classify_position.1",
        "conv5c": "channel_reduce",
        "sc": "channel",
        "conv52": "channel_expand",
        "conv7.1": "classify_channel.1",
        "conv8.1": "classify.1",
        # mmsegmentation's names.
        **conv_modules(
            {
                "pam_in_conv": "position_reduce",
                "pam_out_conv": "position_expand",
                "cam_in_conv": "channel_reduce",
                "cam_out_conv": "channel_expand",
            }
        ),
        "pam": "position",
        "pam_conv_seg": "classify_position.1",
        "cam": "channel",
        "cam_conv_seg": "classify_channel.1",
        "conv_seg": "classify.1",
        # Those of an article whose position attention is "untransposed".
        "pam_conv1": "position_reduce",
        "pam_conv2": "position_expand",
        "pam_conv3.1": "classify_position.1",
        "cam_conv1": "channel_reduce",
        "cam_conv2": "channel_expand",
        "cam_conv3.1": "classify_channel.1",
        "fusion_conv.1": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        key_width: int | None = None,
        auxiliary: bool = False,
        variant: str = "code",
    ) -> None:
        super().__init__()
        inner = channels[-1] // 4 if width is None else width
        if inner < 8 and key_width is None:
            raise InputError(
                f"width={inner}: branches of danet must have at least 8 channels; take a backbone"
                f" whose last feature map has at least 32 (this one has {channels[-1]})"
            )
        self.position_reduce = conv_norm(channels[-1], inner, 3)
        self.position = PositionAttention(inner, hidden=key_width, variant=variant)
        self.position_expand = conv_norm(inner, inner, 3)
        self.channel_reduce = conv_norm(channels[-1], inner, 3)
        self.channel = ChannelAttention(inner)
        self.channel_expand = conv_norm(inner, inner, 3)
        self.classify = classifier(inner, outputs)
        self.classify_position = classifier(inner, outputs)
        self.classify_channel = classifier(inner, outputs)
        self.add_auxiliary(channels, outputs, wanted=auxiliary)

    def _branches(self, x: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor]:
        position = self.position_expand(self.position(self.position_reduce(x)))
        channel = self.channel_expand(self.channel(self.channel_reduce(x)))
        return position, channel

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits of the summed branches."""
        position, channel = self._branches(features[-1])
        return self.classify(position + channel)

    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits of the sum, and of each branch."""
        position, channel = self._branches(features[-1])
        return Outputs(
            self.classify(position + channel),
            {
                "position": self.classify_position(position),
                "channel": self.classify_channel(channel),
                **self.stage_logits(features),
            },
        )
