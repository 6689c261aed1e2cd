"""Pictures and rasters as tasks of a cluster."""
