"""What is said where memory does not suffice to run a network."""

from contextlib import AbstractContextManager

from pixelwise.cost import predict
from pixelwise.networks.model import Model
from pixelwise.shortage import told_as_input


def enough_memory(
    model: Model, window: int, remedy: str = "lower --window"
) -> AbstractContextManager[None]:
    """Tell a shortage in one line, with what the network needs for a square of that side."""
    shape = (1, model.config.in_channels, window, window)
    return told_as_input(
        f"window={window}: {remedy}", lambda: predict(model, shape, training=False)
    )
