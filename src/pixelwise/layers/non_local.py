"""Non-local block: every pixel adds a mixture of all pixels.

For pixels x_j in R^c of one image, j over N of them,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    f_ij = softmax_j(q_i . k_j / sqrt(d))      "embedded_gaussian"    where pixel i looks
         = softmax_j(x_i . x_j)                "gaussian"
         = q_i . k_j / N                       "dot_product"          not positive, no sum of 1
         = relu(w . [q_i, k_j]) / N            "concatenation"
    y_i = x_i + Wo sum_j f_ij v_j + bo         what it sees, added

No matrix of pairs exists. Of the dot product the sum over j is taken first, (sum_j v_j k_j^T) / N
being d x d; the concatenation splits into relu(a_i + b_j), whose sums need only a sorted b.

Source: Wang et al., "Non-local Neural Networks", CVPR 2018, https://arxiv.org/abs/1711.07971.
Reference: github.com/open-mmlab/mmcv, mmcv/cnn/bricks/non_local.py (Apache-2.0), NonLocal2d.
Differences: the width is given by `reduction` or `hidden`; gradients of the concatenation, which
raise there; pooling by `sub_sample` leaves a single row or column as it is, where theirs raises.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.layers.base import AttentionLayer, Maps, pixel_index, reduced
from pixelwise.ops.attention import attention
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.self_similarity import self_similarity
from pixelwise.ops.sorted_pairs import rectified_pairs

MODES = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")
Projection = tuple[Tensor, Tensor]


class NonLocal(AttentionLayer):
    """Add to every pixel a mixture of all pixels, by one of four kinds of likeness.

    Args:
        channels: Channels c of the input and of the output.
        mode: The likeness f, as above.
        reduction: The width d of query, key and value is `channels // reduction`.
        hidden: That width itself, in place of `reduction`.
        use_scale: Whether "embedded_gaussian" divides by sqrt(d); of no effect on others.
        sub_sample: Whether keys and values are pooled, the largest of 2 x 2.
        norm: Whether a batch norm follows Wo, which then has no bias.
        zero_start: Whether Wo, or its norm, starts at zero.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 (h w)^2 d multiply-adds (c + d in place of 2 d for "gaussian"); for "dot_product"
        d (d + 4 c) per pixel, for "concatenation" 2 d c per pixel and sorting: these are linear.
        Memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    The identity at initialisation, unless `zero_start` is off. In "embedded_gaussian" the gradient
    of bk is zero: a softmax ignores shifts.
    """

    key: ClassVar[str] = "nonlocal"
    title: ClassVar[str] = "Non-local block"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "NL",
        "NLBlock",
        "NonLocal2d",
        "NonLocalBlockND",
        "NONLocalBlock2D",
        "NonLocalNet",
        "non-local neural networks",
        "non-local attention",
        "NL attention",
        "BatNonLocalAttn",
    )
    cost_exponent: float = 2.0
    benchmark_cases: ClassVar[tuple[str, ...]] = (
        "",
        "mode=gaussian",
        "mode=dot_product",
        "mode=concatenation",
    )
    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        "theta.conv": "query",
        "phi.conv": "keys",
        "g.conv": "value",
        "conv_out.conv": "expand",
        "conv_out.bn": "norm",
        "concat_project.conv": "score",
        "phi.0.conv": "keys",
        "g.0.conv": "value",
    }

    def __init__(
        self,
        channels: int,
        *,
        mode: str = "embedded_gaussian",
        reduction: int = 2,
        hidden: int | None = None,
        use_scale: bool = True,
        sub_sample: bool = False,
        norm: bool = False,
        zero_start: bool = True,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        one_of(MODES, mode=mode)
        self.mode, self.sub_sample, self.zero_start = mode, sub_sample, zero_start
        self.scale = width**-0.5 if use_scale and mode == "embedded_gaussian" else 1.0
        embedded = mode != "gaussian"
        self.query = nn.Linear(channels, width) if embedded else None
        self.keys = nn.Linear(channels, width) if embedded else None
        self.value = nn.Linear(channels, width)
        self.score = nn.Linear(2 * width, 1, bias=False) if mode == "concatenation" else None
        self.expand = nn.Linear(width, channels, bias=not norm)
        self.norm = nn.BatchNorm2d(channels) if norm else None
        if mode in ("dot_product", "concatenation"):
            self.cost_exponent = 1.0
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: narrow projections, and nothing added."""
        for part in (self.query, self.keys, self.value):
            if part is not None:
                nn.init.normal_(part.weight, std=0.01)
                nn.init.zeros_(part.bias)
        for part in (self.score, self.expand):
            if part is not None:
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        last = self.expand if self.norm is None else self.norm
        if self.norm is not None:
            self.norm.reset_parameters()
        nn.init.normal_(last.weight, std=0.0 if self.zero_start else 0.01)
        nn.init.zeros_(last.bias)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Weigh the values of all pixels by f, and add what that gives."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (b, n, c)
        query = pixels if self.query is None else self.query(pixels)
        key = pixels if self.keys is None else self.keys(pixels)
        value = self.value(pixels)
        if self.sub_sample:
            key, value = (self._pooled(part.mT, x).mT for part in (key, value))  # (b, m, d)
        seen = torch.einsum("bij,bjd->bid", self._likeness(query, key), value)
        mixed = self.expand(seen).mT.contiguous().view(x.shape)
        return x + (mixed if self.norm is None else self.norm(mixed))

    def _likeness(
        self, query: Float[Tensor, "b n d"], key: Float[Tensor, "b m d"]
    ) -> Float[Tensor, "b n m"]:
        """The f of all pairs."""
        n, m = query.shape[1], key.shape[1]
        if self.score is not None:  # "concatenation"
            left = query[:, :, None].expand(-1, -1, m, -1)
            right = key[:, None].expand(-1, n, -1, -1)
            return self.score(torch.cat([left, right], dim=3))[..., 0].relu() / m
        products = torch.bmm(query, key.mT)  # (b, n, m)
        if self.mode == "dot_product":
            return products.div_(m)  # in place, as the authors do: there are n x m of them
        return products.mul_(self.scale).softmax(dim=2)  # over the keys

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One product for all projections; no matrix of pairs exists, as said above."""
        query, key, value = self._parts(x)
        weight = self.expand.weight
        with full_precision(x):
            kind = statistics_dtype(x)
            if self.mode == "dot_product":
                pairs = torch.bmm(value.to(kind), key.to(kind).mT) / key.shape[2]
                weight, seen = (weight.to(kind) @ pairs).to(weight.dtype), query
            elif self.mode == "concatenation":  # relu(a) / N = relu(a / N)
                a, b = (part[:, 0].to(kind) / key.shape[2] for part in (query, key))
                seen = rectified_pairs(a, b, value)
            elif self.mode == "gaussian" and not self.sub_sample:
                seen = self_similarity(query, value, self.max_memory)
            else:
                seen = attention(query, key, value, self.max_memory)
        weight, alike = weight.expand(x.shape[0], -1, -1), self._alike(x, value)
        mixed = torch.bmm(weight, seen) if alike is None else torch.baddbmm(alike, weight, seen)
        mixed = mixed.view(x.shape)
        return x + (mixed if self.norm is None else self.norm(mixed)).to(x.dtype)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """The f of the pixel `at`, one for every key: with `sub_sample`, a map of half the size.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        query, key, _ = self._parts(x)
        with full_precision(x):
            kind = statistics_dtype(x)
            one, key = query[:, :, index, None].to(kind), key.to(kind)
            if self.mode == "concatenation":
                weights = (one + key).relu() / key.shape[2]
            else:
                scores = torch.bmm(one.mT, key)
                by_product = self.mode == "dot_product"
                weights = scores / key.shape[2] if by_product else scores.softmax(dim=-1)
            shape = [max(1, side // 2) if self.sub_sample else side for side in x.shape[2:]]
            return Maps(spatial=weights.view(x.shape[0], 1, *shape))

    @classmethod
    def benchmark_divisor(cls, options: Mapping[str, Any]) -> int:
        """All pairs of pixels of a concatenation would not fit in memory."""
        return 4 if options.get("mode") == "concatenation" else 1

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (b, d, n); of a concatenation the scores a and b (b, 1, n)."""
        products: list[Projection] = [(self.value.weight, self.value.bias)]
        right = None
        if self.query is not None and self.keys is not None:
            to_query: Projection = self.query.weight * self.scale, self.query.bias * self.scale
            to_key: Projection = self.keys.weight, self.keys.bias
            if self.score is not None:
                left, right = self.score.weight.chunk(2, dim=1)
                to_query = left @ to_query[0], left @ to_query[1]
                if not self.sub_sample:  # scores of pooled keys are no product with the input
                    to_key = right @ to_key[0], right @ to_key[1]
            products += [to_query, to_key]
        weight, bias = (torch.cat(several) for several in zip(*products, strict=True))
        # Channels last, as fused attention needs them.
        projected = torch.baddbmm(bias, x.flatten(2).mT, weight.T.expand(x.shape[0], -1, -1)).mT
        value, *others = torch.split(projected, [len(part[1]) for part in products], dim=1)
        query, key = others or [x.flatten(2).to(value.dtype)] * 2
        key, value = self._pooled(key, x), self._pooled(value, x)
        if right is not None and self.sub_sample:
            key = torch.matmul(right, key)
        return query, key, value

    def _pooled(self, part: Tensor, x: Tensor) -> Tensor:
        if not self.sub_sample:
            return part
        height, width = x.shape[2:]
        window = (min(2, height), min(2, width))
        picture = part.reshape(x.shape[0], -1, height, width)
        return F.max_pool2d(picture, window).flatten(2)

    def _alike(self, x: Tensor, value: Tensor) -> Tensor | None:
        """What is added to all pixels alike, (b, c, 1) or (c, 1)."""
        return None if self.expand.bias is None else self.expand.bias[:, None]
