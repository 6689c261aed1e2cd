"""Which form of attention is taken.

On a GPU, in a traced graph, and on a CPU where key and value are equally wide, it is torch's fused
attention; see `running.choice`.
"""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.attention.fused import fused
from pixelwise.ops.attention.lean import BlockAttention
from pixelwise.ops.attention.plain import reference
from pixelwise.ops.running import blocks, choice, kernels
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def attention(
    query: Float[Tensor, "b d n"],
    key: Float[Tensor, "b d m"],
    value: Float[Tensor, "b e m"],
    max_memory: int | None = None,
) -> Float[Tensor, "b e n"]:
    """Attention of every query to every key; memory grows with n + m, never with n m.

    `max_memory` bounds the bytes of the blocks that exist at a time, forward or backward; two of
    them do. The fused kernels have none.
    """
    with full_precision(value):
        chosen = choice.form("attention", value, key)
        if chosen == "plain":
            return reference(query, key, value)
        if chosen == "traced":
            return fused(query, key, value)
        at_most = blocks.elements(max_memory, statistics_dtype(value), 2, key.shape[2])

        def run(limit: int | None) -> Tensor:
            if chosen == "fused" and limit == at_most:
                return fused(query, key, value)

            def lean(*given: Tensor) -> Tensor:
                found: Tensor = BlockAttention.apply(*given, limit)
                return found

            found: Tensor = kernels.either(chosen, "attention", lean)(query, key, value)
            return found

        return blocks.sparing(run, at_most)
