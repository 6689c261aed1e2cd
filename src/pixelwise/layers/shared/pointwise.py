"""1x1 convolutions as matrix products, and a fixed batch norm as part of them.

On flattened pixels x (b, c, n), and with a norm that uses its running statistics,

    s (W x + b - m) / sqrt(v + eps) + t = W' x + b'      one product, no pass for the norm
    W [x, z] = Wx x + Wz z                               of a concatenation that is never written

A matrix product also beats a 1x1 convolution on CPUs.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.alterations import transformed
from pixelwise.layers.shared.fixed_norm import fixed_affine, is_fixed
from pixelwise.layers.shared.parts import conv_norm, from_inplace_abn


def product(
    weight: Float[Tensor, "o c"], bias: Float[Tensor, " o"] | None, x: Float[Tensor, "b c n"]
) -> Float[Tensor, "b o n"]:
    """`weight x + bias` for every pixel."""
    expanded = weight.expand(x.shape[0], -1, -1)
    if bias is None:
        return torch.bmm(expanded, x)
    return torch.baddbmm(bias[:, None], expanded, x)


def affine(part: nn.Sequential) -> tuple[Float[Tensor, "o c"], Float[Tensor, " o"] | None]:
    """Weight and bias of a 1x1 `conv_norm`, with its norm if that is fixed; `finish` comes next."""
    conv, norm = part[0], part[1]
    assert isinstance(conv, nn.Conv2d)
    weight, bias = conv.weight.flatten(1), conv.bias
    if not is_fixed(norm):
        return weight, bias
    scale, shift = fixed_affine(norm)
    if bias is not None:
        shift = shift + bias.to(shift.dtype) * scale
    return (weight * scale[:, None]).to(weight.dtype), shift.to(weight.dtype)


def finish(part: nn.Sequential, x: Float[Tensor, "b o n"]) -> Float[Tensor, "b o n"]:
    """What `affine` left out of a `conv_norm`: the norm if it is not fixed, and the activation."""
    fixed = is_fixed(part[1])
    # As one row: as one column, torch misreads a gradient that comes with channels last.
    y = x if fixed else x.unsqueeze(2)
    for rest in part[2:] if fixed else part[1:]:
        y = rest(y)
    if fixed:
        return y
    y = y.squeeze(2)
    if not torch.compiler.is_compiling() and y.requires_grad and y.shape[0] == 1:
        # Of one image, torch misreads even a row.
        y.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]
    return y


def pointwise(part: nn.Sequential, *maps: Float[Tensor, "b _ n"]) -> Float[Tensor, "b o n"]:
    """What a 1x1 `conv_norm` makes of the concatenation of `maps` along the channels."""
    weight, bias = affine(part)
    first, *others = maps
    start = first.shape[1]
    y = product(weight[:, :start], bias, first)
    for x in others:
        stop = start + x.shape[1]
        own = weight[:, start:stop].to(y.dtype).expand(x.shape[0], -1, -1)
        y = y.baddbmm_(own, x.to(y.dtype))  # what only products made, backward does not need
        start = stop
    return finish(part, y)


def weighted(
    part: nn.Sequential, x: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b o h w"]:
    """What a 1x1 `conv_norm` without activation, its norm fixed, makes of `x * weights`.

    One weight per pixel passes through the convolution, so that the product is the last step.
    """
    weight, bias = affine(part)
    if x.is_contiguous():
        y = product(weight, None, x.flatten(2)).view(x.shape[0], -1, *x.shape[2:])
    else:
        y = F.conv2d(x, weight[:, :, None, None])
    assert bias is not None
    bias, weights = bias.to(y.dtype)[:, None, None], weights.to(y.dtype)
    if y.requires_grad or weights.requires_grad:
        return torch.addcmul(bias, y, weights).to(x.dtype)
    return y.mul_(weights).add_(bias).to(x.dtype)


def two_layers(channels: int, width: int, *, bias: bool, activation: str) -> nn.Sequential:
    """Two 1x1 `conv_norm` in a row; their names in checkpoints are those of `two_layer_keys`."""
    return nn.Sequential(
        conv_norm(channels, width, bias=bias, activation=activation),
        conv_norm(width, width, bias=bias, activation=activation),
    )


def two_layer_keys(theirs: str, ours: str) -> dict[str, str]:
    """Names inside `theirs` -> names inside `ours`, where that is `two_layers`.

    openseg and HRNet nest each norm in a sequence of its own, others write all in one, and
    mmsegmentation has modules of a convolution and a norm.
    """
    nested = {"0": "0.0", "1.0": "0.1", "2": "1.0", "3.0": "1.1"}
    flat = {"1": "0.1", "3": "1.0", "4": "1.1"}
    mmcv = {"0.conv": "0.0", "0.bn": "0.1", "1.conv": "1.0", "1.bn": "1.1"}
    pairs = (nested | flat | mmcv).items()
    return {f"{theirs}.{name}": f"{ours}.{place}" for name, place in pairs}


def one_layer_keys(theirs: str, ours: str) -> dict[str, str]:
    """The same where `ours` is one `conv_norm`."""
    names = {"0": "0", "1.0": "1", "1": "1", "conv": "0", "bn": "1"}
    return {f"{theirs}.{name}": f"{ours}.{place}" for name, place in names.items()}


def both_layers(parts: nn.Sequential, x: Float[Tensor, "b c n"]) -> Float[Tensor, "b o n"]:
    """What `two_layers` make of x."""
    for part in parts:
        assert isinstance(part, nn.Sequential)
        x = pointwise(part, x)
    return x


def formatted(y: Float[Tensor, "b o i j"], x: Float[Tensor, "b c h w"]) -> Tensor:
    """`y` in the type and the memory format of `x`."""
    if transformed():
        return y.to(x.dtype)  # torch.func has no memory formats
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    wanted = torch.channels_last if last else torch.contiguous_format
    return y.to(x.dtype).contiguous(memory_format=wanted)


def with_plain_gradient(y: Tensor) -> Tensor:
    """`y`, whose gradient, of one image, is never laid out as that of tokens.

    On CPUs torch's batch norm misreads such a gradient, and so does what only hands it on.
    """
    if torch.compiler.is_compiling() or not y.requires_grad or len(y) != 1 or transformed():
        return y
    y.register_hook(_settled)  # type: ignore[no-untyped-call]
    return y


def _settled(grad: Tensor | None) -> Tensor | None:
    return grad if grad is None or grad.stride(0) == grad[0].numel() else grad.contiguous()


def with_batch_norms(state_dict: Mapping[str, Tensor], activation: str) -> Mapping[str, Tensor]:
    """A checkpoint whose InPlaceABN, if it has any, is batch norm: see `from_inplace_abn`.

    Raises:
        InputError: It has InPlaceABN, whose activation is not `activation`.
    """
    found = from_inplace_abn(state_dict)
    if len(found) > len(state_dict) and activation != "leaky_relu":
        raise InputError(
            f"activation={activation!r}: the checkpoint has InPlaceABN, whose activation is a "
            "leaky ReLU; build the layer with activation='leaky_relu'"
        )
    return found
