"""Pictures, rasters and clips in; masks, values or points out."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelwise.predict.rasters.polygons.polygons import polygons
    from pixelwise.predict.rasters.raster import raster
    from pixelwise.predict.videos.video import video

__all__ = ["polygons", "raster", "video"]

_DOORS = {
    "polygons": "pixelwise.predict.rasters.polygons.polygons",
    "raster": "pixelwise.predict.rasters.raster",
    "video": "pixelwise.predict.videos.video",
}


def __getattr__(name: str) -> Any:
    if name not in _DOORS:
        raise AttributeError(f"module 'pixelwise.predict' has no attribute {name!r}")
    return getattr(importlib.import_module(_DOORS[name]), name)
