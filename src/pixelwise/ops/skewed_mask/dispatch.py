"""Which form of the masks is taken."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import blocks, choice, kernels
from pixelwise.ops.running.compiled import as_one_call, in_a_compiled_graph
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.skewed_mask.lean import SkewedAttention
from pixelwise.ops.skewed_mask.lean_rows import RowAttention
from pixelwise.ops.skewed_mask.plain import reference


def skewed_attention(
    weight: Float[Tensor, "p q d"],
    guide: Float[Tensor, "b d h w"],
    value: Float[Tensor, "b c h w"],
    *,
    collect: bool,
    softmax: bool = True,
    max_memory: int | None = None,
) -> Float[Tensor, "b c h w"]:
    """Attention by masks, in memory linear in h * w: neither L nor all masks are ever stored.

    `max_memory` bounds the bytes that exist at a time for the logits, and backward for their
    gradients: a block of each, what is written into it, and the weights.
    """
    with full_precision(value):
        chosen = choice.form("skewed_mask", value)
        if chosen == "traced" and in_a_compiled_graph():
            return _one_call(weight, guide, value, collect, softmax, max_memory)
        if chosen in ("plain", "traced"):
            return reference(weight, guide, value, collect=collect, softmax=softmax)
        reach = min(len(weight), value.shape[2]) * min(value.shape[3], 2 * weight.shape[1])
        at_most = blocks.elements(max_memory, statistics_dtype(value), 5, reach)

        few_rows = blocks.cached(value.device) or value.is_meta  # where operations are counted
        form = SkewedAttention if few_rows else RowAttention

        def run(most: int | None) -> Tensor:
            def lean(*given: Tensor | bool) -> Tensor:
                found: Tensor = form.apply(*given, most)
                return found

            given = weight, guide, value, collect, softmax
            found: Tensor = kernels.either(chosen, "skewed_mask", lean)(*given)
            return found

        return blocks.sparing(run, at_most)


def _by_position(
    weight: Tensor,
    guide: Tensor,
    value: Tensor,
    collect: bool,
    softmax: bool,
    max_memory: int | None,
) -> Tensor:
    options: Any = {"collect": collect, "softmax": softmax, "max_memory": max_memory}
    return skewed_attention(weight, guide, value, **options)


def _empty(weight: Tensor, guide: Tensor, value: Tensor, *options: Any) -> Tensor:
    return value.new_empty(value.shape)


_one_call = as_one_call(
    "skewed_mask",
    _by_position,
    _empty,
    ["weight", "guide", "value"],
    "bool collect, bool softmax, int? max_memory",
)
