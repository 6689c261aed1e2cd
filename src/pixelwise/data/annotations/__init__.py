"""Masks as label tools keep them: shapes, painted when a picture is read."""

from pixelwise.data.annotations.config import AnnotatedConfig
from pixelwise.data.annotations.folder import AnnotatedSource

__all__ = ["AnnotatedConfig", "AnnotatedSource"]
