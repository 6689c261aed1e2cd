"""Pictures, rasters and clips in; masks, values or points out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelwise.predict.rasters.polygons.polygons import polygons
    from pixelwise.predict.rasters.raster import raster
    from pixelwise.predict.videos.video import video

__all__ = ["polygons", "raster", "video"]


def __getattr__(name: str) -> Any:
    if name == "raster":
        from pixelwise.predict.rasters.raster import raster

        return raster
    if name == "polygons":
        from pixelwise.predict.rasters.polygons.polygons import polygons

        return polygons
    if name == "video":
        from pixelwise.predict.videos.video import video

        return video
    raise AttributeError(f"module 'pixelwise.predict' has no attribute {name!r}")
