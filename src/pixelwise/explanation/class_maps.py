"""Where the evidence for a class lies, asked of the whole network: baselines beside attention.

Gradient-weighted features, of a module's feature maps A_k and the class's logit s,

    a_k = mean over pixels of ds / dA_k
    map = relu(sum_k a_k A_k)

with s at the asked pixel, or summed over all pixels that are predicted as the class.

Occlusion covers one patch after the other by the picture's mean colour:

    map = p - p with the patch covered        probability of the class at the pixel

Source: Selvaraju et al., "Grad-CAM", 2017, https://arxiv.org/abs/1610.02391; for segmentation
Vinogradova et al. 2020, https://arxiv.org/abs/2002.11434; occlusion Zeiler and Fergus 2014,
https://arxiv.org/abs/1311.2901.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.cost import measured
from pixelwise.errors import InputError
from pixelwise.explanation.answer import Answer, class_name
from pixelwise.explanation.deletion import batches
from pixelwise.explanation.features import FeaturePlace, last_features, named_features
from pixelwise.explanation.gradients import gradients_of
from pixelwise.explanation.recording import evaluated, uncompiled
from pixelwise.explanation.result import ClassMap
from pixelwise.language import message

PATCHES = 12
"""Patches along the picture's longer side."""


def gradient_map(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    at: tuple[int, int],
    *,
    class_index: int | None = None,
    place: str | None = None,
    over: Literal["pixel", "class"] = "pixel",
) -> ClassMap:
    """Feature maps of a module, weighed by the gradient of a class's logit.

    Args:
        model: The network; it runs in eval mode, and no gradient stays on it.
        image: Its input.
        at: The pixel (row, column).
        class_index: The class; None is the one predicted at the pixel.
        place: A module that returns feature maps (b, c, h, w). None takes the input of the last
            attention layer, and without one the last feature maps before the output.
        over: Whose logits count: the "pixel"'s, or of all pixels of the "class", added up.

    Raises:
        InputError: An unknown module, one that returns no feature maps, a class that there is not,
            or a network that cannot be differentiated.
    """
    model = uncompiled(model)
    with evaluated(model), torch.inference_mode(False), torch.enable_grad():
        image = image.clone() if image.is_inference() else image
        with torch.no_grad():
            where = last_features(model, image) if place is None else named_features(model, place)
            index = chosen_class(Answer(model, at, image_size(image)).logits(image), class_index)
        with gradients_of("gradient map"):
            done = measured(lambda: _weighed(model, image, at, index, where, over), image.device)
    values, covers = done.result
    name = class_name(model, index)
    return ClassMap(
        "gradient", where.label, index, name, values, done.seconds, done.peak_bytes, covers
    )


def _weighed(
    model: nn.Module,
    image: Tensor,
    at: tuple[int, int],
    index: int,
    where: FeaturePlace,
    over: Literal["pixel", "class"],
) -> tuple[Tensor, tuple[float, float]]:
    size = image_size(image)
    answer = Answer(model, at, size)
    with where.watched(model, size) as seen:
        if over == "pixel":
            score = answer.logits(image)[0, index]
        else:
            logits = answer.dense(image)[0]
            score = (logits[index] * (logits.argmax(dim=0) == index)).sum()
    features, covers = seen.found()
    (slope,) = torch.autograd.grad(score, features, allow_unused=True)
    slope = torch.zeros_like(features) if slope is None else slope
    weights = slope[0].mean(dim=(1, 2))
    values = torch.einsum("c,chw->hw", weights.float(), features.detach()[0].float()).relu()
    return values.cpu(), covers


@torch.no_grad()
def occlusion_map(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    at: tuple[int, int],
    *,
    class_index: int | None = None,
    patches: int = PATCHES,
) -> ClassMap:
    """By how much a class's probability falls when a patch of the picture is covered.

    Args:
        model: The network; it runs in eval mode, once per patch.
        image: Its input.
        at: The pixel (row, column).
        class_index: The class; None is the one predicted at the pixel.
        patches: Square patches along the picture's longer side; the map has a value for each.

    Raises:
        InputError: A class that there is not, or less than one patch.
    """
    if patches < 1:
        raise InputError(f"patches={patches}: must be at least 1; {PATCHES} is usual")
    model = uncompiled(model)
    answer = Answer(model, at, image_size(image))
    with evaluated(model):
        index = chosen_class(answer.logits(image), class_index)
        done = measured(lambda: _covered(answer, image, index, patches), image.device)
    values, covers = done.result
    label = message("patches of {size} pixels", size=round(covers[0] / values.shape[0]))
    name = class_name(model, index)
    return ClassMap("occlusion", label, index, name, values, done.seconds, done.peak_bytes, covers)


def _covered(
    answer: Answer, image: Tensor, index: int, patches: int
) -> tuple[Tensor, tuple[float, float]]:
    height, width = answer.size
    side = -(-max(height, width) // patches)
    rows, columns = -(-height // side), -(-width // side)
    whole = answer.probabilities(image)[0, index].item()
    mean = image.mean(dim=(2, 3))[0, :, None, None]
    drops: list[float] = []
    for some in batches(range(rows * columns), image):
        pictures = image.repeat(len(some), 1, 1, 1)
        for picture, number in zip(pictures, some, strict=True):
            top, left = number // columns * side, number % columns * side
            picture[:, top : top + side, left : left + side] = mean
        drops += [whole - p for p in answer.probabilities(pictures)[:, index].tolist()]
    return torch.tensor(drops).view(rows, columns), (float(rows * side), float(columns * side))


def chosen_class(logits: Float[Tensor, "1 k"], class_index: int | None) -> int:
    """The class that is asked about.

    Raises:
        InputError: There is no class of that number.
    """
    if class_index is None:
        return int(logits.argmax())
    if not 0 <= class_index < logits.shape[1]:
        raise InputError(
            f"class_index={class_index}: the network has classes 0 to {logits.shape[1] - 1}; "
            "take one of them"
        )
    return class_index


def image_size(image: Float[Tensor, "1 c h w"]) -> tuple[int, int]:
    """Rows and columns."""
    return image.shape[2], image.shape[3]
