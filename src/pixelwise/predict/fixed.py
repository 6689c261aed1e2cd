"""Networks that take one size alone: pictures go through in windows of it, and are blended."""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.predict.windows import predict_logits
from pixelwise.tasks.base import Predictor

OVERLAP = 0.25


def predictor_of(model: Model) -> Predictor:
    """What gives the logits of pictures of any size, by the task.

    Smaller pictures are filled up by their last row and column, larger ones go through in windows.
    """
    task, size = model.task, model.fixed_size
    run = task.predictor(model)
    if size is None:
        return run
    if task.stride > 1 or not task.tiled:

        def whole(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
            if tuple(image.shape[-2:]) != size:
                raise InputError(
                    f"model: takes pictures of {size} alone, task {task.key!r} gives it"
                    f" {tuple(image.shape[-2:])}; export it with that size, or a free one"
                )
            return run(image)

        return whole

    def windows(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        height, width = image.shape[-2:]
        logits = predict_logits(run, extended(image, size), window=size, overlap=OVERLAP)
        return logits[..., :height, :width]

    return windows


def extended(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture of at least that (height, width): its last row and column are repeated."""
    for axis, least in zip((-2, -1), size, strict=True):
        if image.shape[axis] < least:
            index = torch.arange(least, device=image.device)
            image = image.index_select(axis, index.clamp(max=image.shape[axis] - 1))
    return image
