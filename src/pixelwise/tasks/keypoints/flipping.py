"""Heat maps of a mirrored picture, brought back and averaged.

    back(k, y, x) = m(partner(k), y, w - 1 - x),    average = (h + back) / 2

Where pixels and cells cover the same ground ("halves" and "corners" of `placing`), the mirrored
cell is the very same place. In "integers" it lies a pixel beside it; the authors' cure is `shift`:
one column to the right, the first stays. Offsets along x change their sign.

Reference: flip_back of github.com/microsoft/human-pose-estimation.pytorch (MIT) and
github.com/HuangJunJie2017/UDP-Pose (Apache-2.0). Difference: maps are not changed in place.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError


def flip_back(
    flipped: Float[Tensor, "b c h w"], partners: Sequence[int], *, offsets: bool = False
) -> Float[Tensor, "b c h w"]:
    """The maps that a network gave for the mirrored picture, as if it had not been mirrored.

    Args:
        flipped: One map per point, or three (disc, x, y) with `offsets`.
        partners: Number of the point that stands at each place after a mirror:
            `Skeleton.mirrored()`.
        offsets: The maps are those of "udp_offset".

    Raises:
        InputError: The number of maps is not that of `partners`.
    """
    each = 3 if offsets else 1
    if flipped.shape[1] != each * len(partners):
        raise InputError(
            f"flipped={tuple(flipped.shape)}: must have {each} map(s) for each of {len(partners)}"
            " points; give the skeleton of this network"
        )
    b, _, h, w = flipped.shape
    maps = flipped.reshape(b, len(partners), each, h, w).flip(-1)[:, list(partners)]
    if offsets:
        signs = torch.tensor([1, -1, 1], dtype=maps.dtype, device=maps.device)
        maps = maps * signs.view(3, 1, 1)
    return maps.flatten(1, 2)


def flip_average(
    heatmaps: Float[Tensor, "b c h w"],
    flipped: Float[Tensor, "b c h w"],
    partners: Sequence[int],
    *,
    offsets: bool = False,
    shift: bool = False,
) -> Float[Tensor, "b c h w"]:
    """The mean of a network's maps and of those for the mirrored picture; see `flip_back`.

    `shift` moves the second one column to the right.
    """
    back = flip_back(flipped, partners, offsets=offsets)
    if shift:
        back = torch.cat([back[..., :1], back[..., :-1]], dim=-1)
    return (heatmaps + back) / 2
