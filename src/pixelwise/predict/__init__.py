"""Pictures and rasters in; masks, values or points out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelwise.predict.rasters.polygons.polygons import polygons
    from pixelwise.predict.rasters.raster import raster

__all__ = ["polygons", "raster"]


def __getattr__(name: str) -> Any:
    if name == "raster":
        from pixelwise.predict.rasters.raster import raster

        return raster
    if name == "polygons":
        from pixelwise.predict.rasters.polygons.polygons import polygons

        return polygons
    raise AttributeError(f"module 'pixelwise.predict' has no attribute {name!r}")
