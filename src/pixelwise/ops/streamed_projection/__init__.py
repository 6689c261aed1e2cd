"""Weigh the pixels by many softmaxes over them, without keeping the softmaxes."""

from pixelwise.ops.streamed_projection.dispatch import streamed_projection as streamed_projection
