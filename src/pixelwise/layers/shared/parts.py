"""Parts that several mechanisms share."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

ACTIVATIONS = ("relu", "leaky_relu")
"""What may follow a normalisation; "leaky_relu" is what InPlaceABN has, with slope 0.01."""

KNOWN = (
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.Linear,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.LayerNorm,
    nn.GroupNorm,
)


class GroupNorm(nn.GroupNorm):
    """Group norm as torch has it, for which a single value is no error: it becomes the bias."""

    def forward(self, x: Float[Tensor, "b c *sizes"]) -> Float[Tensor, "b c *sizes"]:
        """Normalise the groups of channels of each image."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def conv_norm(
    channels: int,
    outputs: int,
    kernel_size: int = 1,
    *,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = False,
    activation: str | None = "relu",
) -> nn.Sequential:
    """Convolution that keeps the size (or strides), batch norm, activation: parts 0, 1 and 2."""
    padding = dilation * (kernel_size // 2)
    parts: list[nn.Module] = [
        nn.Conv2d(channels, outputs, kernel_size, stride, padding, dilation, bias=bias),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        parts.append(nn.ReLU(inplace=True) if activation == "relu" else nn.LeakyReLU(0.01, True))
    return nn.Sequential(*parts)


def reset(*parts: nn.Module | None) -> None:
    """Initialise every convolution, linear map and norm inside `parts` again as torch does."""
    for part in parts:
        for module in () if part is None else part.modules():
            if isinstance(module, KNOWN):
                module.reset_parameters()


INPLACE_ABN_EPS = 1e-5


@torch.no_grad()
def from_inplace_abn(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint where each InPlaceABN, if there is any, is a batch norm one level deeper.

    InPlaceABN scales by |w| + eps. Its keys tell it: it counts no batches. A batch norm with an
    activation beside it is `<name>.0`, so `<name>.weight` becomes `<name>.0.weight`.
    """
    found = dict(state_dict)
    suffix, parts = ".running_var", ("weight", "bias", "running_mean", "running_var")
    for name in [key.removesuffix(suffix) for key in state_dict if key.endswith(suffix)]:
        whole = all(f"{name}.{part}" in state_dict for part in parts)
        if not whole or f"{name}.num_batches_tracked" in state_dict:
            continue  # what is missing is told by who loads it
        for part in parts:
            found[f"{name}.0.{part}"] = found.pop(f"{name}.{part}")
        found[f"{name}.0.weight"] = found[f"{name}.0.weight"].abs() + INPLACE_ABN_EPS
        found[f"{name}.0.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
    return found
