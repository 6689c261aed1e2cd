"""Several labels per pixel, each there or not."""
