"""Numbers per pixel: depths, heights, densities."""
