"""Masks as label tools keep them: shapes, painted when a picture is read."""
