"""External attention: pixels attend to a memory that is learned, not to each other.

For pixels x_n in R^c of one image and a memory of keys k_s and values v_s,

    z_n = W x_n + b
    l_sn = k_s . z_n                           how well pixel n fits slot s
    p_sn = softmax_n(l_sn)                     where slot s looks
    a_sn = p_sn / (e + sum_r p_rn)             which slots pixel n takes
    o_n = sum_s a_sn v_s                       what they hold
    y_n = relu(x_n + norm(W2 o_n))

With form="heads" z has four times the channels, in 4 H heads that share one memory; keys and
values have biases, and y_n = W2 o_n + b2. With form="bare" there is the memory alone, y_n = o_n,
and e = 0.

Source: Guo et al., "Beyond Self-attention: External Attention using Two Linear Layers for Visual
Tasks", TPAMI 2022, https://arxiv.org/abs/2105.02358.
Reference: github.com/MenghaoGuo/EANet, model_torch.py, External_attention (form "block"), and
multi_head_attention_torch.py, Attention (form "heads"): their numbers only, since they have no
licence file. github.com/xmu-xiaoma666/External-Attention-pytorch (MIT) has form "bare".
Differences: keys and values are two parameters, equal at the start. The authors' fresh module has
them share memory, until it is moved or a checkpoint is loaded, which then overwrites the keys. The
double normalisation is taken in logarithms, which half types need.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.parts import conv_norm, reset
from pixelwise.layers.shared.pointwise import affine, finish, formatted, product
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.slot_weights import slot_weights

EPSILON = 1e-9
EXPANSION = 4
"""How many times the channels, and the heads, form "heads" has inside."""


class ExternalAttention(AttentionLayer):
    """Rebuild every pixel from the slots of a memory that all pictures share.

    Args:
        channels: Channels c of the input and of the output.
        slots: Entries of the memory.
        form: "block" as in the authors' network for segmentation, "heads" as in theirs for
            tokens, "bare" for the memory alone.
        heads: H of form "heads", by which c divides.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 c * slots multiply-adds per pixel for form "block" in evaluation; 8 c^2 + 8 c * slots for
        form "heads"; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    A slot's weights are shared out among the pixels of a picture, so the result depends on all of
    them. The gradient of b is zero: a softmax ignores shifts. In training, form "block" refuses
    one image of a single pixel: one value has no variance.
    """

    key: ClassVar[str] = "external"
    title: ClassVar[str] = "External attention"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = ("EANet", "External_attention")
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", "slot")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv1": "project",
        "trans_dims": "project",
        "linear_0": "keys",
        "mk": "keys",
        "linear_1": "values",
        "mv": "values",
        "conv2": "restore",
        "proj": "restore",
    }

    def __init__(
        self, channels: int, *, slots: int = 64, form: str = "block", heads: int = 8
    ) -> None:
        super().__init__(channels)
        at_least(1, slots=slots, heads=heads)
        one_of(("block", "heads", "bare"), form=form)
        if form == "heads" and channels % heads:
            raise InputError(f"heads={heads}: must divide channels={channels}; take fewer")
        in_heads = form == "heads"
        width = EXPANSION * channels if in_heads else channels
        self.form, self.heads = form, EXPANSION * heads if in_heads else 1
        self.project = None if form == "bare" else nn.Conv2d(channels, width, 1)
        self.keys = nn.Linear(width // self.heads, slots, bias=in_heads)
        self.values = nn.Linear(slots, width // self.heads, bias=in_heads)
        self.restore: nn.Module | None = None
        if in_heads:
            self.restore = nn.Conv2d(width, channels, 1)
        elif form == "block":
            self.restore = conv_norm(channels, channels, activation=None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as torch does, the values of form "block" as the keys: as theirs start."""
        reset(*self.children())
        if self.form == "block":
            with torch.no_grad():
                self.values.weight.copy_(self.keys.weight.T)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Rebuild every pixel from the memory."""
        b, _, h, w = x.shape
        weights = self._slots(x).to(x.dtype)  # (b, heads, s, n)
        found = self.values(weights.mT).mT  # (b, heads, d, n)
        y = found.reshape(b, -1, h, w)
        if self.restore is not None:
            y = self.restore(y)
        return (x + y).relu() if self.form == "block" else y

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """In form "block" both products of a side are one: nothing of c x n but the result."""
        if self.form != "block":
            return formatted(self.plain(x), x)
        assert isinstance(self.restore, nn.Sequential)
        with full_precision(x):
            flat, kind = x.flatten(2), self.keys.weight.dtype
            weights = self._block_slots(flat.to(kind))[:, 0]
            weight, shift = affine(self.restore)
            y = product(weight @ self.values.weight, shift, weights.to(kind))
            y = finish(self.restore, y).reshape(x.shape)
            return formatted(torch.add(x, y.to(x.dtype)).relu_(), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Which slots each pixel takes, the same for every `at`; of each head, a map per slot."""
        return Maps(spatial=self._slots(x).flatten(1, 2).view(x.shape[0], -1, *x.shape[2:]))

    def _slots(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads s n"]:
        z = x if self.project is None else self.project(x)
        heads = z.reshape(x.shape[0], self.heads, -1, x.shape[2] * x.shape[3])
        return slot_weights(self.keys(heads.mT).mT, 0.0 if self.form == "bare" else EPSILON)

    def _block_slots(self, x: Float[Tensor, "b c n"]) -> Float[Tensor, "b 1 s n"]:
        assert self.project is not None
        assert self.project.bias is not None
        keys = self.keys.weight
        weight, shift = keys @ self.project.weight.flatten(1), keys @ self.project.bias
        return slot_weights(product(weight, shift, x)[:, None], EPSILON)
