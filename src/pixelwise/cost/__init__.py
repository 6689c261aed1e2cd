"""What a callable costs: operations, parameters, time and memory."""

from pixelwise.cost.memory import Measured, measured, predict
from pixelwise.cost.operations import counted, flops, operation_formulas, parameters

__all__ = [
    "Measured",
    "counted",
    "flops",
    "measured",
    "operation_formulas",
    "parameters",
    "predict",
]
