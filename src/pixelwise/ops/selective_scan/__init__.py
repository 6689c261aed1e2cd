"""Scan sequences by a linear recurrence whose numbers depend on the input."""

from pixelwise.ops.selective_scan.dispatch import selective_scan as selective_scan
from pixelwise.ops.selective_scan.traced import traced_scan as traced_scan
from pixelwise.ops.selective_scan.weights import scan_weights as scan_weights
