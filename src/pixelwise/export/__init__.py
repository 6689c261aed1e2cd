"""Files that other programs run, each compared with the network before it is kept."""
