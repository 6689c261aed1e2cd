"""Gate a map by channel and by pixel jointly, beside the map itself."""

from pixelwise.ops.joint_gate.dispatch import joint_gate as joint_gate
from pixelwise.ops.joint_gate.plain import joint_weights as joint_weights
