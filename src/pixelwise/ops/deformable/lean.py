"""Deformable convolution for CPUs: the pixels as rows of a table, and products.

    s_kp = m_kp sum_c w_kpc x(r_kpc)     four rows c around where tap k of output pixel p points
    y_p = b + sum_k W_k s_kp

with w the bilinear shares of the rows, as embeddings are summed. Backward reads each tap again:

    dW_k = sum_p g_p s_kp^T,   ds_kp = W_k^T g_p,   and from ds those of the table and the shares
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.deformable.plain import Places, reference
from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable


def _again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    return functools.partial(reference, places=ctx.places), ctx.saved_tensors


class Deformed(torch.autograd.Function):
    """The convolution of map, offsets, weight, bias and factors."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        offset: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
        places: Places,
    ) -> Tensor:
        """The equations, tap by tap."""
        ctx.save_for_backward(x, offset, weight, bias, mask)
        ctx.places = places
        pixels = offset.shape[2] * offset.shape[3]
        groups, outputs = x.shape[1] // weight.shape[1], len(weight)
        out = x.new_zeros(groups, len(x) * pixels, outputs // groups)
        if bias is not None:
            out += bias.view(groups, 1, -1)
        table = _table(x, offset, weight)
        for tap in range(weight.shape[2] * weight.shape[3]):
            moved = _moved(offset, mask, weight, tap, places, x)
            out.baddbmm_(_grouped(_seen(table, *moved), x, groups), _matrix(weight, tap, groups))
        out = out.view(groups, len(x), pixels, -1).permute(1, 0, 3, 2)
        return out.reshape(len(x), outputs, *offset.shape[2:])

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """The same for the gradients."""
        x, offset, weight, _, mask = ctx.saved_tensors
        groups = x.shape[1] // weight.shape[1]
        g = torch.unflatten(grad.flatten(2), 1, (groups, -1)).permute(1, 0, 3, 2).flatten(1, 2)
        table = _table(x, offset, weight)
        d_table, d_weight = torch.zeros_like(table), torch.empty_like(weight)
        d_offset = torch.zeros_like(offset)
        d_mask = None if mask is None else torch.zeros_like(mask)
        for tap in range(weight.shape[2] * weight.shape[3]):
            with torch.enable_grad():
                offsets = offset.detach().requires_grad_()
                factors = None if mask is None else mask.detach().requires_grad_()
                rows, shares = _moved(offsets, factors, weight, tap, ctx.places, x)
                own, share = table.detach().requires_grad_(), shares.detach().requires_grad_()
                seen = _seen(own, rows, share)
            grouped = _grouped(seen.detach(), x, groups)
            found = torch.bmm(g.mT, grouped)  # groups, outputs, inputs
            place = divmod(tap, weight.shape[3])
            d_weight[:, :, *place] = found.flatten(0, 1)
            d_grouped = torch.bmm(g, _matrix(weight, tap, groups).mT)
            d_seen = _ungrouped(d_grouped, x, seen)
            d_own, d_share = torch.autograd.grad(seen, [own, share], d_seen)
            d_table += d_own
            moving = [offsets] if factors is None else [offsets, factors]
            d_moving = torch.autograd.grad(shares, moving, d_share)
            for total, part in zip((d_offset, d_mask), d_moving, strict=False):
                assert total is not None
                total += part
        d_bias = grad.sum(dim=(0, 2, 3)) if ctx.needs_input_grad[3] else None
        sharing = len(table) // (len(x) * x.shape[2] * x.shape[3])
        d_x = d_table.view(len(x), sharing, -1, table.shape[1]).mT.reshape(x.shape)
        return d_x, d_offset, d_weight, d_bias, d_mask, None


def _table(x: Tensor, offset: Tensor, weight: Tensor) -> Float[Tensor, "rows e"]:
    """One row for each pixel of each group of channels that share offsets."""
    sharing = offset.shape[1] // (2 * weight.shape[2] * weight.shape[3])
    return x.reshape(len(x), sharing, x.shape[1] // sharing, -1).mT.flatten(0, 2).contiguous()


def _moved(
    offset: Tensor, mask: Tensor | None, weight: Tensor, tap: int, places: Places, x: Tensor
) -> tuple[Tensor, Tensor]:
    """The four rows of the table that a tap reads for each output pixel, and their shares."""
    (height, width), taps = x.shape[2:], weight.shape[2] * weight.shape[3]
    offsets = offset.reshape(len(x), -1, taps, 2, *offset.shape[2:])[:, :, tap]
    lines, sizes = places.of(tap, weight, offset), (height, width)
    position = [line + offsets[:, :, axis] for axis, line in enumerate(lines)]
    first = [z.detach().floor() for z in position]
    rows, shares = [], []
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share, row = torch.ones_like(position[0]), torch.zeros_like(position[0], dtype=torch.int64)
        for axis, beyond in enumerate(corner):
            line, part = first[axis] + beyond, position[axis] - first[axis]
            inside = (line >= 0) & (line < sizes[axis])
            share = torch.where(inside, share * (part if beyond else 1 - part), 0)
            row = row * sizes[axis] + torch.where(inside, line, 0).to(torch.int64)
        rows.append(row)
        shares.append(share)
    own = torch.arange(rows[0][:, :, 0, 0].numel(), device=x.device).view(len(x), -1, 1, 1)
    share = torch.stack(shares, dim=-1)
    if mask is not None:
        share = share * mask.reshape(len(x), -1, taps, *mask.shape[2:])[:, :, tap, ..., None]
    found = torch.stack(rows, dim=-1) + (own * height * width)[..., None]
    return found.view(-1, 4), share.view(-1, 4)


def _seen(table: Tensor, rows: Tensor, shares: Tensor) -> Float[Tensor, "places e"]:
    return F.embedding_bag(rows, table, mode="sum", per_sample_weights=shares)


def _matrix(weight: Tensor, tap: int, groups: int) -> Float[Tensor, "groups inputs outputs"]:
    return torch.unflatten(weight[:, :, *divmod(tap, weight.shape[3])], 0, (groups, -1)).mT


def _grouped(seen: Tensor, x: Tensor, groups: int) -> Float[Tensor, "groups n inputs"]:
    """What a tap reads, pixel by pixel, for each group of channels that are convolved together."""
    parts = seen.view(len(x), x.shape[1] // seen.shape[1], -1, seen.shape[1])
    whole = parts.transpose(1, 2).flatten(2).flatten(0, 1)
    return torch.unflatten(whole, 1, (groups, -1)).transpose(0, 1)


def _ungrouped(grouped: Tensor, x: Tensor, like: Tensor) -> Tensor:
    """Undo `_grouped`."""
    whole = grouped.transpose(0, 1).flatten(1)
    parts = whole.view(len(x), -1, x.shape[1] // like.shape[1], like.shape[1])
    return parts.transpose(1, 2).reshape(like.shape)
