"""Polygons around the regions of a raster of classes, and how much area each class has."""
