"""What items are while they are mixed: a normalised picture and its mask."""

from jaxtyping import Float32, Shaped
from torch import Tensor

Crop = tuple[Float32[Tensor, "c h w"], Shaped[Tensor, "*labels h w"]]
