"""Segmentation networks: a timm backbone, a decoder, a task."""
