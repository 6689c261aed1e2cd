"""Batch norms as other codes store them."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from pixelwise.layers.shared.parts import INPLACE_ABN_EPS

COUNTER = ".num_batches_tracked"
MEAN = ".running_mean"


def uncounted(state: Mapping[str, Tensor]) -> list[str]:
    """The norms, where none of them counts batches: before PyTorch 0.4.1, and InPlaceABN.

    Where some count and some do not, the file is incomplete, and none is named.
    """
    names = [key.removesuffix(MEAN) for key in state if key.endswith(MEAN)]
    return [] if any(name + COUNTER in state for name in names) else names


def counted(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """`state` where these norms have counted none."""
    return dict(state) | {name + COUNTER: torch.zeros((), dtype=torch.int64) for name in names}


@torch.no_grad()
def plain(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """`state` where these norms, InPlaceABN without activation, are batch norms: w is |w| + eps."""
    found = counted(state, names)
    for name in names:
        weight = f"{name}.weight"
        if weight in found:
            found[weight] = found[weight].abs() + INPLACE_ABN_EPS
    return found


@torch.no_grad()
def without_biases(state: Mapping[str, Tensor], norms: Mapping[str, str]) -> dict[str, Tensor]:
    """`state` where the biases of convolutions that a norm follows are part of the norm's mean.

    `norms` maps each convolution to its norm. norm(W x + b) with mean m is norm(W x) with m - b.
    """
    found = dict(state)
    for convolution, norm in norms.items():
        bias, mean = f"{convolution}.bias", norm + MEAN
        if bias in found and mean in found:
            found[mean] = found[mean] - found.pop(bias)
    return found
