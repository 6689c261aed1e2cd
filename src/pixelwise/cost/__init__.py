"""What a callable costs: operations, parameters, time and memory."""

from pixelwise.cost.memory import Measured, measured, predict
from pixelwise.cost.operations import flops, operation_formulas, parameters

__all__ = ["Measured", "flops", "measured", "operation_formulas", "parameters", "predict"]
