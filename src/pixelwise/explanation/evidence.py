"""What an explanation says without attention: on what the answer depends, and for which class.

All of a network that uses no attention; of others what is asked for.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.explanation.answer import Answer
from pixelwise.explanation.class_maps import gradient_map, occlusion_map
from pixelwise.explanation.gradients import NoGradient
from pixelwise.explanation.receptive_field import receptive_field
from pixelwise.explanation.result import ClassMap, ReceptiveField
from pixelwise.language import mark


@dataclass(frozen=True)
class Evidence:
    """What was found, and why the rest was not."""

    receptive: ReceptiveField | None = None
    class_maps: tuple[ClassMap, ...] = ()
    notes: tuple[str, ...] = ()


def asked_evidence(
    answer: Answer,
    image: Float[Tensor, "1 c h w"],
    *,
    index: int,
    whole: bool,
    receptive: bool,
    class_maps: bool,
) -> Evidence:
    """The receptive field and the class maps, where they are wanted.

    Args:
        answer: Gives the logits at the pixel.
        image: The picture.
        index: The class of the class maps.
        whole: Whether the network answers for the picture as a whole, and not for a pixel.
        receptive: Whether the receptive field is wanted.
        class_maps: Whether the class maps are wanted.

    Raises:
        InputError: The network has no gradient, or no feature maps.
    """
    return Evidence(
        receptive_field(answer, image, whole=whole) if receptive else None,
        (
            gradient_map(answer.model, image, answer.at, class_index=index),
            occlusion_map(answer.model, image, answer.at, class_index=index),
        )
        if class_maps
        else (),
    )


def evidence_alone(
    answer: Answer,
    image: Float[Tensor, "1 c h w"],
    *,
    index: int,
    whole: bool,
    occlusion: bool,
) -> Evidence:
    """All that there is to say of a network without attention; notes say what it does not have.

    Args:
        answer: Gives the logits at the pixel.
        image: The picture.
        index: The class of the class maps.
        whole: Whether the network answers for the picture as a whole, and not for a pixel.
        occlusion: Whether the occlusion map is wanted, by far the slowest part.
    """
    notes: list[str] = []
    maps: list[ClassMap] = []
    field = None
    try:
        field = receptive_field(answer, image, whole=whole)
    except NoGradient as error:
        notes.append(error.note)
    try:
        maps.append(gradient_map(answer.model, image, answer.at, class_index=index))
    except NoGradient as error:
        notes.append(error.note)
    except InputError as error:
        notes.append(f"No gradient map: {str(error).partition(';')[0]}.")
    if occlusion:
        maps.append(occlusion_map(answer.model, image, answer.at, class_index=index))
    else:
        notes.append(mark("No occlusion map: it was left out with the deletion check."))
    return Evidence(field, tuple(maps), tuple(notes))
