"""Attention of every pixel to the window around it, without a copy of every window."""

from pixelwise.ops.local_attention.dispatch import local_attention as local_attention
from pixelwise.ops.local_attention.tiling import mirrored as mirrored
from pixelwise.ops.local_attention.traced import by_place as by_place
