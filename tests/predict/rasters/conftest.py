import pytest

pytest.importorskip("rasterio", reason="rasters need rasterio")
