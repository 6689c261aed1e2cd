"""Ways to enlarge a coarse map to the size of the fine one that it is joined with."""
