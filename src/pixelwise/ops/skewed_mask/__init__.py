"""Attention whose logits are masks that every pixel draws around itself."""

from pixelwise.ops.skewed_mask.dispatch import skewed_attention as skewed_attention
from pixelwise.ops.skewed_mask.plain import expand_mask as expand_mask
from pixelwise.ops.skewed_mask.plain import pixel_logits as pixel_logits
