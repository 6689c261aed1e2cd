"""What is asked: one picture, one pixel of it, and what to draw on."""

from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray
from torch import Tensor, nn

from pixelwise import pictures
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter


def one_picture(image: Shaped[Tensor, "..."]) -> Float[Tensor, "1 c h w"]:
    """The picture as a batch of one.

    Raises:
        InputError: It is no picture, or several.
    """
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim == 4 and len(batch) == 1 and batch.is_floating_point():
        return batch
    raise InputError(
        f"image is {image.dtype} of shape {tuple(image.shape)}: must be one picture, (1, c, h, w) "
        "or (c, h, w), as the network takes it; explain pictures one by one"
    )


def check_pixel(at: tuple[int, int], size: tuple[int, int]) -> None:
    """Refuse a pixel (row, column) that lies outside of a picture of `size`.

    Raises:
        InputError: It does.
    """
    if not (0 <= at[0] < size[0] and 0 <= at[1] < size[1]):
        raise InputError(
            f"at is row {at[0]}, column {at[1]}, but the picture has rows 0..{size[0] - 1} and "
            f"columns 0..{size[1] - 1}; name a pixel inside"
        )


def to_draw_on(
    model: nn.Module, image: Float[Tensor, "1 c h w"], picture: UInt8[ndarray, "_ _ 3"] | None
) -> UInt8[ndarray, "_ _ 3"]:
    """`picture`, or else the network's input as one, without a segmenter's normalisation.

    Raises:
        InputError: `picture` has another size.
    """
    if picture is not None:
        if picture.shape[:2] != image.shape[2:]:
            raise InputError(
                f"picture has {picture.shape[0]} rows and {picture.shape[1]} columns, "
                f"image {image.shape[2]} and {image.shape[3]}; give the picture that image is of"
            )
        return picture
    raw = image[0].detach().float().cpu()
    if isinstance(model, Segmenter):
        config = model.config
        mean, std = (raw.new_tensor(values)[:, None, None] for values in (config.mean, config.std))
        raw = (raw * std + mean) * config.scale
        if config.scale == 255:
            raw = raw.round().clamp(0, 255).byte()
    return pictures.displayable(raw)
