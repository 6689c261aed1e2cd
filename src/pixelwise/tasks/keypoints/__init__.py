"""Points by heat maps: targets, decoding, geometry, losses and scores."""
