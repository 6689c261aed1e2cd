"""Rasters of any size with labels, as rasters or features: cut into tiles, never read whole."""
