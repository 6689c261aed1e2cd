"""Rasters of any size: read, predicted and written block by block, in memory that does not grow."""
