"""Attention U-Net: a U-Net whose skip connections pass what the coarser map asks for.

    y = relu(norm(W relu(norm(W [up(y), gate(x_i, y)]))))   for each finer map x_i

with the attention gate of `layers/attention_gate.py`, whose guide y is the decoder's coarser map:
the last feature map at the bottom.

Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018,
https://arxiv.org/abs/1804.03999.
Reference: github.com/ozan-oktay/Attention-Gated-Networks (MIT) has the gate, in networks of three
dimensions. Differences: two dimensions, on any backbone, with this package's `unet`; every skip
connection has a gate (there the finest has none), guided as in the paper's figure by the map below
(there by the last map for all). With up_convolutions=True on the backbone unet_encoder it is the
network of two dimensions known as AttU_Net: the guide is the enlarged map, and the gates compare at
full resolution, with norms, and transform nothing (written from the names and the paper; no code
was read).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from pixelwise.layers.attention_gate import AttentionGate
from pixelwise.networks.decoders.unet import WIDTHS, UNet


class AttentionUNet(UNet):
    """A `UNet`, with its options, and an attention gate at every skip connection."""

    key = "attention_unet"
    title = "Attention U-Net"
    year = 2018
    aliases = ("AttUNet", "AttnUNet", "AttU_Net", "UNet with attention gates")
    summary = "unet with an attention gate (gate) at every skip connection"
    source = "Oktay et al. 2018, https://arxiv.org/abs/1804.03999"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **UNet.reference_keys,
        **{f"Att{5 - i}": f"gates.{i}" for i in range(4)},
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        widths: Sequence[int] = WIDTHS,
        interpolation: str = "nearest",
        up_convolutions: bool = False,
        upsampler: str | None = None,
    ) -> None:
        super().__init__(
            channels,
            outputs,
            widths=widths,
            interpolation=interpolation,
            up_convolutions=up_convolutions,
            upsampler=upsampler,
        )
        full: dict[str, Any] = {"stride": 1, "compare_norm": True, "transform": False}
        self.gates = nn.ModuleList(
            AttentionGate(skip, guide_channels=guide, **(full if up_convolutions else {}))
            for skip, guide in zip(self.skips, self.guides, strict=False)
        )

    def attended(self, level: int, skip: Tensor, guide: Tensor) -> Tensor:
        """The finer map, gated by the coarser one."""
        return self.gates[level](skip, guide)
