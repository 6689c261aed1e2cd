"""What a network says of one pixel, whatever form its output has."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter


class Answer:
    """The classes' logits at one pixel; of a network without pixels, the picture's.

    One logit alone, l, stands for two classes, of which the second has it: they get -l/2 and l/2.

    Args:
        model: Gives logits (b, k, h, w) at any resolution, or (b, k): as a tensor, under "out" or
            "logits" of a mapping, as `.logits` of an object, or first in a tuple.
        at: The pixel (row, column).
        size: Rows and columns of the picture.
    """

    def __init__(self, model: nn.Module, at: tuple[int, int], size: tuple[int, int]) -> None:
        self.model, self.at, self.size = model, at, size
        self.task = model.task if isinstance(model, Segmenter) else None

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """The classes' logits at the pixel, in float32; between logits' pixels bilinear."""
        return self.at_pixel(self.dense(images))

    def at_pixel(self, found: Float[Tensor, "n k i j"]) -> Float[Tensor, "n k"]:
        """Of all logits those at the pixel."""
        height, width = found.shape[2:]
        if found.shape[2:] == self.size or found.shape[2:].numel() == 1:
            return found[:, :, min(self.at[0], height - 1), min(self.at[1], width - 1)]
        stride = 1 if self.task is None else self.task.stride
        covers = self.size if stride == 1 else (height * stride, width * stride)
        row, column = ((2 * i + 1) / side - 1 for i, side in zip(self.at, covers, strict=True))
        place = found.new_tensor([column, row]).expand(len(found), 1, 1, 2)
        sampled = F.grid_sample(found, place, padding_mode="border", align_corners=False)
        return sampled[:, :, 0, 0]

    def dense(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """All logits in float32; (n, k, 1, 1) of a network that has none per pixel."""
        given = images.clone()  # some write into what they are given
        logits = logits_of(self.model(given)).float()
        logits = logits[:, :, None, None] if logits.ndim == 2 else logits
        logits = logits if self.task is None else self.task.evidence(logits)
        several = logits.shape[1] > 1 or (self.task is not None and self.task.data != "classes")
        return logits if several else torch.cat([-logits / 2, logits / 2], dim=1)

    def probabilities(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """The classes' probabilities at the pixel; of points, the heights of the heat maps."""
        return self.confidence(self.logits(images))

    def confidence(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Logits at a pixel as probabilities, by the network's task."""
        return logits.softmax(dim=1) if self.task is None else self.task.confidence(logits)


def logits_of(output: Any) -> Tensor:
    """The logits in a network's output.

    Raises:
        InputError: There are none of shape (b, k, h, w) or (b, k).
    """
    found = output
    classes = getattr(output, "class_queries_logits", None)
    masks = getattr(output, "masks_queries_logits", None)
    if isinstance(classes, Tensor) and isinstance(masks, Tensor):
        return of_queries(classes, masks)
    if isinstance(output, Mapping):
        found = next((output[key] for key in ("out", "logits") if key in output), output)
    elif hasattr(output, "logits"):
        found = output.logits
    elif isinstance(output, tuple | list) and output:
        found = output[0]
    if isinstance(found, Tensor) and found.is_quantized:
        found = found.dequantize()
    if isinstance(found, Tensor) and found.ndim in (2, 4) and found.is_floating_point():
        return found
    shape = str(type(found))
    if isinstance(found, Tensor):
        shape = f"a tensor of shape {tuple(found.shape)}, {found.dtype}"
    raise InputError(
        f"the network returned {shape}: must be logits (b, k, h, w) or (b, k), alone, under 'out' "
        "or 'logits', or first in a tuple; wrap it in a module that returns them"
    )


def of_queries(classes: Float[Tensor, "b q k1"], masks: Float[Tensor, "b q h w"]) -> Tensor:
    """The logits of a network that predicts masks and the class of each; the last class is none.

    score = sum over queries of softmax(class) * sigmoid(mask), as its authors take the classes;
    the logits are its logarithm, so that their softmax is the share of each class.
    """
    weights = classes.float().softmax(-1)[..., :-1]
    scores = torch.einsum("bqk,bqhw->bkhw", weights, masks.float().sigmoid())
    return scores.clamp(min=1e-12).log()


def class_name(model: nn.Module, index: int) -> str:
    """The name of a class by the network's config, or "class INDEX"."""
    config: Any = getattr(model, "config", None)
    names = config.names if isinstance(model, Segmenter) else getattr(config, "id2label", None)
    if isinstance(names, Mapping) and index in names:
        return str(names[index])
    if isinstance(names, tuple) and index < len(names):
        return names[index]
    return f"class {index}"
