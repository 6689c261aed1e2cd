"""Pictures with named points: what they are, and the files that hold them."""
