"""Ask a network where it looks.

    with recorded_inputs: model(image)        every attention layer's input x
    layer.maps(x, at)                         that layer's map for one of its pixels, in O(h w)

The forward pass keeps its fused form: maps are computed afterwards, from the layers' inputs, and
no layer stores anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps


@contextmanager
def recorded_inputs(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Record what every attention layer of `model` receives while the block runs, by its name."""
    seen: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
        for name, layer in model.named_modules()
        if isinstance(layer, AttentionLayer)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def look(model: nn.Module, image: Float[Tensor, "1 c h w"], at: tuple[int, int]) -> dict[str, Maps]:
    """Maps of every attention layer of a network for one pixel of a picture, by the layer's name.

    A layer that sees the picture at a lower resolution is asked for its pixel that covers `at`.
    The network runs in the mode it is in; eval mode asks for what a prediction uses.

    Args:
        model: The network.
        image: Its input.
        at: The pixel of `image`, (row, column).

    Raises:
        InputError: a pixel outside the picture, or a network without attention layers.
    """
    height, width = image.shape[-2:]
    if not (0 <= at[0] < height and 0 <= at[1] < width):
        raise InputError(
            f"at is row {at[0]}, column {at[1]}, but the picture has rows 0..{height - 1} and "
            f"columns 0..{width - 1}"
        )
    with recorded_inputs(model) as seen:
        model(image)
    if not seen:
        raise InputError(
            f"{type(model).__name__} used no attention layer; create it with attention='psa_s', "
            "or insert a layer"
        )
    found: dict[str, Maps] = {}
    for name, x in seen.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, AttentionLayer)
        row, column = (
            (2 * i + 1) * size // (2 * full)
            for i, size, full in zip(at, x.shape[-2:], image.shape[-2:], strict=True)
        )
        found[name] = layer.maps(x, at=(row, column))
    return found
