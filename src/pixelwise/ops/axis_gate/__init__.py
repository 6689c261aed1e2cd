"""Gate a map by its rows and by its columns."""

from pixelwise.ops.axis_gate.dispatch import axis_gate as axis_gate
