"""Pictures in, masks and overlays out."""
