"""Gate a map by channel and by pixel at once."""

from pixelwise.ops.polarized_gate.dispatch import polarized_gate as polarized_gate
from pixelwise.ops.polarized_gate.plain import pixel_gate as pixel_gate
from pixelwise.ops.polarized_gate.plain import pixel_logits as pixel_logits
