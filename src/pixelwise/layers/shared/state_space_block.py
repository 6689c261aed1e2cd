"""The block of VMamba's networks: a state-space scan, then two layers for each pixel.

    x <- x + scan(norm(x))                   or norm(scan(x)), with `post_norm`
    y = x + W2 gelu(W1 norm(x) + b1) + b2    likewise

Source: Liu et al., "VMamba: Visual State Space Model", 2024, https://arxiv.org/abs/2401.10166.
Reference: github.com/MzeroMiko/VMamba, vmamba.py (MIT), VSSBlock. Differences: no paths are dropped
at random; features come as (b, c, h, w).
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights, translated_part
from pixelwise.layers.state_space_scan import StateSpaceScan


class StateSpaceBlock(ReferenceWeights):
    """A scan and an MLP, each with a norm and added to its input.

    Args:
        channels: Channels c of the input and of the output.
        scan: The scan, of as many channels; None leaves it out.
        mlp_ratio: The hidden width is `mlp_ratio * channels`, rounded down; 0 leaves it out.
        post_norm: Whether norms come behind the scan and the MLP, not before.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Raises:
        InputError: An option is out of range, or the scan has other channels.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "norm": "scan_norm",
        "op": "scan",
        "norm2": "mlp_norm",
        "mlp.fc1": "widen",
        "mlp.fc2": "narrow",
    }

    def __init__(
        self,
        channels: int,
        scan: StateSpaceScan | None,
        *,
        mlp_ratio: int | float = 4.0,
        post_norm: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels)
        if scan is not None and scan.channels != channels:
            raise InputError(
                f"scan={scan.channels} channels: must have those of the block, {channels}; "
                f"make it with channels={channels}"
            )
        width = int(mlp_ratio * channels)
        if mlp_ratio and width < 1:
            raise InputError(
                f"mlp_ratio={mlp_ratio}: leaves no hidden channel of {channels}; "
                "raise mlp_ratio, or give 0 for no MLP"
            )
        self.post_norm, self.scan = post_norm, scan
        self.scan_norm = nn.LayerNorm(channels) if scan is not None else None
        self.mlp_norm = nn.LayerNorm(channels) if mlp_ratio else None
        self.widen = nn.Linear(channels, width) if mlp_ratio else None
        self.narrow = nn.Linear(width, channels) if mlp_ratio else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what the scan finds, then what the MLP makes of each pixel."""
        if self.scan is not None and self.scan_norm is not None:
            if self.post_norm:
                x = x + self.scan_norm(self.scan(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            else:
                x = x + self.scan(self.scan_norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        if self.mlp_norm is not None and self.widen is not None and self.narrow is not None:
            pixels = x.permute(0, 2, 3, 1)
            before = pixels if self.post_norm else self.mlp_norm(pixels)
            found = self.narrow(F.gelu(self.widen(before)))
            x = x + (self.mlp_norm(found) if self.post_norm else found).permute(0, 3, 1, 2)
        return x

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The scan's weights as the scan takes them."""
        if self.scan is None:
            return state_dict
        return translated_part(state_dict, "op", self.scan)
