"""Pictures and rasters as tasks of a cluster (Ray): one process gives out, checks and writes."""
