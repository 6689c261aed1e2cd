"""A network with the plain form of every layer in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from torch import nn

from pixelwise.benchmarks.plain import FORMS
from pixelwise.layers.base import Layer
from pixelwise.ops.running import choice


@contextmanager
def plain_network(model: nn.Module) -> Iterator[None]:
    """Within, every layer in `model` takes its plain form, and so does every operation.

    Operations are what a network takes without a layer, such as the attention to bins of ANN.
    """
    layers = [part for part in model.modules() if isinstance(part, Layer)]
    layers = [layer for layer in layers if getattr(layer, "key", None) in FORMS]
    for layer in layers:
        cast("Any", layer).forward = partial(FORMS[layer.key], layer)
    try:
        with choice.forced(**dict.fromkeys(choice.FORMS, "plain")):
            yield
    finally:
        for layer in layers:
            del layer.forward
