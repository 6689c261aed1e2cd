"""A network that ends with what it says: classes, values, or points decoded from heat maps.

    answer = decode(logits(image)),    of points with `flip` decode of the mean of two passes

One module with tensors throughout, for `torch.export` and ONNX.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.tasks.base import Task


class Answering(nn.Module):
    """A network and its decoder.

    Args:
        model: A `Segmenter`; shared, not copied.

    Shape: (n, in_channels, h, w) -> classes (n, h, w), or points (n, k, 3): x, y and score in
    pixels of the image, the centre of the first at (0.5, 0.5), NaN and 0 where nothing is found.
    Batch, height and width may stay free, but for decoder "udp_offset" the height.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "n c h w"]) -> Tensor:
        """What the network says of images as it takes them, normalised."""
        model: Any = self.model
        task: Task = model.task
        return task.answer(task.predictor(model)(image))
