"""Plain transformers of timm: the blocks whose maps they give, their class token, their norms.

All their maps have the size of the patches. By default timm gives those of the last three blocks.
"""

import inspect
from typing import Any

import torch
from jaxtyping import Float
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn

from pixelwise.errors import InputError


def is_plain(body: Any) -> bool:
    """Whether all maps of a backbone have the size of the patches."""
    own = isinstance(body, FeatureGetterNet) and hasattr(body.model, "blocks")
    return own and len(set(body.feature_info.reduction())) == 1


def set_taps(body: Any, count: int) -> None:
    """Give the maps of so many blocks, evenly spaced and the last among them, in place.

    Of 12 blocks and 4 maps these are numbers 2, 5, 8 and 11. Backbones of stages stay.
    """
    if not is_plain(body):
        return
    depth = len(body.model.blocks)
    count = min(count, depth)
    body.out_indices = [depth * (i + 1) // count - 1 for i in range(count)]
    body.feature_info = body.feature_info.from_other(tuple(body.out_indices))


def set_norm_eps(body: Any, name: str, eps: float | None) -> None:
    """What is added to the variance in all norms of a pixel; timm has 1e-6 in most transformers.

    Raises:
        InputError: The backbone has no such norms, or `eps` is not above 0.
    """
    if eps is None:
        return
    norms = [part for part in body.modules() if isinstance(part, nn.LayerNorm)]
    if not norms or not eps > 0:
        rule = "must be above 0" if norms else f"is for transformers, not for {name!r}"
        raise InputError(f"norm_eps={eps}: {rule}; leave it out, or give e.g. 1e-5")
    for norm in norms:
        norm.eps = eps


class TokenBeside(FeatureGetterNet):  # type: ignore[misc]
    """timm's plain transformer, whose maps have the class token at every pixel beside."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """Maps of twice the channels: those of the pixel, then those of the token."""
        pairs = self.model.forward_intermediates(
            x,
            indices=self.out_indices,
            norm=self.norm,
            output_fmt=self.output_fmt,
            intermediates_only=True,
            return_prefix_tokens=True,
        )
        return [
            torch.cat([y, tokens[:, 0, :, None, None].expand_as(y)], dim=1) for y, tokens in pairs
        ]


def set_class_token(body: Any, name: str) -> None:
    """Put the class token beside each pixel of the maps, in place.

    Raises:
        InputError: The backbone has none.
    """
    known = is_plain(body) and getattr(body.model, "cls_token", None) is not None
    if known:
        parameters = inspect.signature(body.model.forward_intermediates).parameters
        known = "return_prefix_tokens" in parameters
    if not known:
        raise InputError(
            f"backbone={name!r}: has no class token for the decoder to read; take readout='ignore',"
            " or a transformer with one, such as 'vit_small_patch14_dinov2'"
        )
    body.__class__ = TokenBeside
    for info in body.feature_info.info:
        info["num_chs"] *= 2
