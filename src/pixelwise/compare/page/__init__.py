"""The page of a comparison: one file, English and Chinese."""
