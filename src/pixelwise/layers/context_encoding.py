"""Context encoding: say which textures an image holds, and gate the channels by that.

For projected pixels v_n = relu(norm(W x_n)) of one image, codewords c_k and their scales s_k,

    A_n = softmax_k(s_k |v_n - c_k|^2)          assignment     (s starts below zero: near is more)
    E_k = sum_n A_nk (v_n - c_k)                residuals      (one vector per codeword)
    e = mean_k relu(norm_k(E_k))                code           (one vector per image)
    g = sigmoid(W_g e + b_g)                    gate           (one value per channel)
    y_n = relu(x_n + g * x_n)

norm_k has one scale and shift for every codeword, and batch statistics over images and channels.

Source: Zhang et al., "Context Encoding for Semantic Segmentation", 2018,
https://arxiv.org/abs/1803.08904; the codewords are from "Deep TEN: Texture Encoding Network",
https://arxiv.org/abs/1612.02844.
Reference: github.com/zhanghang1989/PyTorch-Encoding, EncModule in encoding/models/sseg/encnet.py
and Encoding in encoding/nn/encoding.py (MIT). Differences: the classifier of the code that the
semantic encoding loss needs belongs to the network, which takes the code from `gated`; running
variances are unbiased, as torch has them; the differences v_n - c_k are never stored.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm, reset
from pixelwise.layers.shared.pointwise import pointwise
from pixelwise.ops.encoding import assignments, encoding
from pixelwise.ops.running import choice
from pixelwise.ops.running.precision import full_precision

MMSEGMENTATION = {
    "encoding_project.conv": "encoding.0",
    "encoding_project.bn": "encoding.1",
    "encoding.0": "encoding.3",
    "encoding.1": "encoding.4",
}
"""Names there -> the authors' names, some of which mean other parts there."""


class Encoding(ReferenceWeights):
    """Residuals of pixels from `codes` codewords: (b, c, n) -> (b, codes, c)."""

    reference_keys: ClassVar[Mapping[str, str]] = {"codewords": "codewords", "scale": "scale"}

    def __init__(self, channels: int, codes: int) -> None:
        super().__init__()
        self.codewords = nn.Parameter(torch.empty(codes, channels))
        self.scale = nn.Parameter(torch.empty(codes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: small codewords, scales from -1 to 0."""
        bound = self.codewords.numel() ** -0.5
        nn.init.uniform_(self.codewords, -bound, bound)
        nn.init.uniform_(self.scale, -1, 0)

    def forward(self, flat: Float[Tensor, "b c n"]) -> Float[Tensor, "b k c"]:
        """Assign every pixel to the codewords, and sum what these leave of it."""
        if choice.forced_form("encoding") == "authors":  # to be measured
            return encoding(flat, self.codewords, self.scale)
        apart = flat[:, None] - self.codewords[:, :, None]  # (b, k, c, n)
        weights = (self.scale[:, None] * apart.square().sum(dim=2)).softmax(dim=1)  # over codewords
        return torch.einsum("bkn,bkcn->bkc", weights, apart)

    def lean(self, flat: Float[Tensor, "b c n"]) -> Float[Tensor, "b k c"]:
        """The same without the differences of pixels and codewords, in the type of statistics."""
        return encoding(flat, self.codewords, self.scale)

    def weights(self, flat: Float[Tensor, "b c n"]) -> Float[Tensor, "b k n"]:
        """The assignments A, in the type of statistics."""
        return assignments(flat, self.codewords, self.scale)


class ContextEncoding(AttentionLayer):
    """Gate the channels by a code of what the image holds.

    Args:
        channels: Channels c of the input and of the output.
        codes: Number k of codewords.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c^2 + 2 k c multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The gate is between 1 and 2, and the output is not negative.
    """

    key: ClassVar[str] = "encoding"
    title: ClassVar[str] = "Context encoding module"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = ("EncModule", "EncNet", "DeepTEN", "EncLayer")
    cost_exponent: float = 1.0
    authors_forms: ClassVar[Mapping[str, str]] = {"encoding": "authors"}
    map_heads: Heads = Heads("sum", "codeword")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "encoding.0": "project.0",
        "encoding.1": "project.1",
        "encoding.3": "dictionary",
        "encoding.4": "norm",
        "fc.0": "expand",
    }

    def __init__(self, channels: int, *, codes: int = 32) -> None:
        super().__init__(channels)
        at_least(1, codes=codes)
        self.project = conv_norm(channels, channels)
        self.dictionary = Encoding(channels, codes)
        self.norm = nn.BatchNorm1d(codes)
        self.expand = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Initialise as the authors do."""
        reset(self.project, self.norm, self.expand)
        self.dictionary.reset_parameters()

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The authors' names for mmsegmentation's, where the same name means another part."""
        if not any(key.startswith("encoding_project.") for key in state_dict):
            return state_dict
        found = {}
        for key, value in state_dict.items():
            name = next((name for name in MMSEGMENTATION if key.startswith(name + ".")), "")
            found[MMSEGMENTATION.get(name, "") + key.removeprefix(name)] = value
        return found

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the channels by the code."""
        gate = self.expand(self.plain_code(x)).sigmoid()
        return (x + gate[:, :, None, None] * x).relu()

    def plain_code(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """The code e, as the equations say."""
        residuals = self.dictionary(self.project(x).flatten(2))  # (b, k, c)
        return self.norm(residuals).relu().mean(dim=1)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A product with the codewords in place of all differences; one pass for the gate."""
        return self._gated(x, self._code(self._projected(x)))

    def gated(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c"]]:
        """The output, and the code e that a classifier of the whole image may use."""
        code = self.code(x)
        return self._gated(x, code), code

    def code(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """The code e alone."""
        self.check(x)
        return self.plain_code(x) if self.altered() else self._code(self._projected(x))

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Assignment to every codeword (a head), the same for every `at`; gates 1 + g."""
        projected = self._projected(x)
        weights = self.dictionary.weights(projected)
        gates = 1 + self._gate(self._code(projected))
        return Maps(spatial=weights.view(x.shape[0], -1, *x.shape[2:]), channel=gates)

    def _projected(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c n"]:
        return pointwise(self.project, x.flatten(2))

    def _gated(self, x: Float[Tensor, "b c h w"], code: Float[Tensor, "b c"]) -> Tensor:
        return torch.mul(x, (1 + self._gate(code)).to(x.dtype)[:, :, None, None]).relu_()

    def _code(self, projected: Float[Tensor, "b c n"]) -> Float[Tensor, "b c"]:
        with full_precision(projected):
            residuals = self.dictionary.lean(projected).to(self.norm.weight.dtype)
            return self.norm(residuals).relu().mean(dim=1)

    def _gate(self, code: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        with full_precision(code):
            return self.expand(code).sigmoid()
