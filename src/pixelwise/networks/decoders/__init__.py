"""Decoders, one network family per file."""
