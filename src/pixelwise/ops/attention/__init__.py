"""Attention between all pixels, without the matrix of all pairs."""

from pixelwise.ops.attention.dispatch import attention as attention
