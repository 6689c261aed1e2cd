"""What the plain forms share."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

Form = Callable[..., Tensor]
"""A layer and its inputs -> its output."""
Forms = Mapping[str, Form]


def pointwise(x: Tensor, part: Any) -> Tensor:
    """The 1x1 convolution that the authors have where `part` is a linear map."""
    return F.conv2d(x, part.weight.reshape(*part.weight.shape[:2], 1, 1), part.bias)
