"""Clips, and pictures in a row: frames in, a clip with the answers drawn over them out."""
