"""Selective kernel: branches of several kernel sizes, of which each channel chooses its mixture.

For the features f_k of branch k, a convolution of its own size,

    f_k = act(norm(K_k * x))
    s = mean_n(sum_k f_kn)                     what the picture has, one number per channel
    z = act(norm(W1 s + b1))                   narrowed
    a_k = softmax_k(U_k z + d_k)               how much of branch k a channel takes
    y_n = sum_k a_k * f_kn

Source: Li et al., "Selective Kernel Networks", CVPR 2019, https://arxiv.org/abs/1903.06586.
Reference: the options cover three implementations in PyTorch. github.com/implus/PytorchInsight,
classification/models/imagenet/resnet_sk.py (no licence file, compared by recorded numbers alone),
by the paper's author, has `kernel_sizes=(3, 3), groups=(1, 32)` and `hidden=channels // 16` inside
a bottleneck. timm/layers/selective_kernel.py (Apache-2.0) has `split=True`. github.com/
xmu-xiaoma666/External-Attention-pytorch, model/attention/SKAttention.py (MIT) has `dilate=False,
bias=True, squeeze_norm=False`. Difference: one class for all.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Limits, Maps, reduced
from pixelwise.ops.running.precision import statistics_dtype

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "hard_swish": nn.Hardswish,
}
LEAST_HIDDEN = 32
BRANCHES = range(8)
"""Whose names in checkpoints are known."""


class SelectiveKernel(AttentionLayer):
    """Mix branches of several kernel sizes, for each channel by what the picture has.

    Args:
        channels: Channels c of the input.
        out_channels: Channels of the output; None is as many.
        kernel_sizes: The sides of the branches' kernels, two or more; odd.
        dilate: Make kernels larger than 3 of 3x3 taps with gaps between them.
        stride: Of the convolutions.
        dilation: Of the convolutions, on top of `dilate`.
        groups: Groups of the convolutions, one number or one for each branch.
        split: Give each branch its share of the input's channels in place of all.
        reduction: Bottleneck ratio; the narrow width is `out_channels // reduction`, at least 32.
        hidden: The narrow width itself, in place of `reduction`.
        bias: Whether convolutions and linear maps have biases.
        squeeze_norm: Whether norm and activation follow the first linear map.
        activation: "relu", "silu", "gelu" or "hard_swish".

    Shape:
        (b, c, h, w) -> (b, out_channels, h / stride, w / stride), rounded up, for any h and w.

    Cost:
        9 c * out_channels multiply-adds per pixel and branch with `dilate`; memory linear in h * w.

    Raises:
        InputError: An option is out of range, or one image alone is to train a `squeeze_norm`.

    The weights of the branches add up to one in every channel.
    """

    key: ClassVar[str] = "sk"
    title: ClassVar[str] = "Selective kernel"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "SKNet",
        "SKConv",
        "SKAttention",
        "SelectiveKernelAttn",
        "selective kernel convolution",
    )
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        **{
            f"{theirs}.{i}.{part}": f"branches.{i}.{place}"
            for theirs in ("paths", "convs")
            for i in BRANCHES
            for part, place in (("conv", "0"), ("bn", "1"))
        },
        "attn.fc_reduce": "reduce",
        "attn.bn": "norm",
        "attn.fc_select": "select",
        "fc": "reduce",
        "conv2": "branches.0.0",
        "bn2": "branches.0.1",
        "conv2g": "branches.1.0",
        "bn2g": "branches.1.1",
        "conv_fc1": "reduce",
        "bn_fc1": "norm",
        "conv_fc2": "select",
    }

    def __init__(
        self,
        channels: int,
        *,
        out_channels: int | None = None,
        kernel_sizes: tuple[int, ...] = (3, 5),
        dilate: bool = True,
        stride: int = 1,
        dilation: int = 1,
        groups: int | tuple[int, ...] = 1,
        split: bool = False,
        reduction: int = 16,
        hidden: int | None = None,
        bias: bool = False,
        squeeze_norm: bool = True,
        activation: str = "relu",
    ) -> None:
        super().__init__(channels)
        outputs, count = channels if out_channels is None else out_channels, len(kernel_sizes)
        at_least(1, out_channels=outputs, stride=stride, dilation=dilation, reduction=reduction)
        one_of(tuple(ACTIVATIONS), activation=activation)
        if count < 2 or any(side < 1 or side % 2 == 0 for side in kernel_sizes):
            raise InputError(
                f"kernel_sizes={tuple(kernel_sizes)}: must be two or more odd numbers; "
                "e.g. kernel_sizes=(3, 5)"
            )
        if split and channels % count:
            raise InputError(
                f"split=True: channels={channels} must be a multiple of the {count} branches; "
                "give other channels, or split=False"
            )
        if hidden is None and outputs // reduction < LEAST_HIDDEN:
            hidden = LEAST_HIDDEN
        width = reduced(outputs, reduction, hidden)
        self.shares = [channels // count] * count if split else None
        each, inputs = _each(groups, count), channels // count if split else channels
        for own in each:
            if own < 1 or inputs % own or outputs % own:
                raise InputError(
                    f"groups={groups}: must divide the {inputs} input channels of a branch and its "
                    f"{outputs} outputs; give a common divisor"
                )
        self.branches = nn.ModuleList()
        for side, own in zip(kernel_sizes, each, strict=True):
            gap = dilation * (side - 1) // 2 if dilate and side > 3 else dilation
            side = min(side, 3) if dilate else side
            conv = nn.Conv2d(
                inputs, outputs, side, stride, gap * (side // 2), gap, groups=own, bias=bias
            )
            after = ACTIVATIONS[activation]()
            self.branches.append(nn.Sequential(conv, nn.BatchNorm2d(outputs), after))
        self.reduce = nn.Linear(outputs, width, bias=bias)
        self.norm = nn.BatchNorm1d(width) if squeeze_norm else None
        self.activation = ACTIVATIONS[activation]()
        self.select = nn.Linear(width, count * outputs, bias=bias)
        self.keeps_shape = outputs == channels and stride == 1
        if squeeze_norm:
            self.limits = Limits(images=2)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """One linear map for all branches, where a checkpoint has one for each."""
        found = dict(state_dict)
        for part in ("weight", "bias"):
            names = [f"fcs.{i}.{part}" for i in range(len(self.branches))]
            if all(name in found for name in names):
                found[f"attn.fc_select.{part}"] = torch.cat([found.pop(name) for name in names])
        return found

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Mix the branches by weights that follow from the mean of their sum."""
        (first, *others), weights = self._branches(x)
        y = first * weights[:, 0]
        for i, features in enumerate(others, start=1):
            y = y + features * weights[:, i]
        return y

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """The share of the last branch in every output channel, the same for every `at`."""
        _, weights = self._branches(x)
        return Maps(channel=weights[:, -1, :, 0, 0])

    def _branches(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[list[Float[Tensor, "b o i j"]], Float[Tensor, "b k o 1 1"]]:
        """The features of each branch, and their weights."""
        count = len(self.branches)
        inputs = [x] * count if self.shares is None else torch.split(x, self.shares, dim=1)
        features = [branch(own) for branch, own in zip(self.branches, inputs, strict=True)]
        squeezed = torch.stack([f.mean(dim=(2, 3)) for f in features]).sum(dim=0)  # (b, o)
        hidden = self.reduce(squeezed)
        if self.norm is not None:
            hidden = self.activation(self.norm(hidden))
        logits = self.select(hidden).unflatten(1, (count, -1))  # (b, branches, o)
        weights = logits.softmax(dim=1, dtype=statistics_dtype(logits))
        return features, weights.to(features[0].dtype)[:, :, :, None, None]


def _each(groups: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    each = (groups,) * count if isinstance(groups, int) else tuple(groups)
    if len(each) != count:
        raise InputError(
            f"groups={each}: must be one number, or one for each of {count} branches; "
            f"e.g. groups={(1,) * count}"
        )
    return each
