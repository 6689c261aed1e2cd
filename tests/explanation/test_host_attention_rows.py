"""Rows of fused attention: against all weights, and without them in memory."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.cost import measured
from pixelwise.explanation.host_forms import fused


def heads(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(q, k, *, causal=False, mask=None, scale=None):
    """All weights, one product at a time."""
    logits = q.double() @ k.double().mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        logits[..., ~torch.ones(logits.shape[-2:]).tril().bool()] = -torch.inf
    if mask is not None:
        logits = logits + mask
    return logits.softmax(-1)


def same(args, options, wanted):
    """Every row is that of `wanted` (heads, queries, keys), and explains what torch computed."""
    attention = fused(args, options, F.scaled_dot_product_attention(*args, **options))
    lead, queries, keys = attention.counts
    assert wanted.shape == (lead, queries, keys)
    for place in range(lead):
        rows = attention.rows(place, list(range(queries)))
        torch.testing.assert_close(rows, wanted[place])
        for query in range(queries):
            off = rows[query] @ attention.values_of(place) - attention.given(place, query)
            assert off.abs().max() < 1e-5


def test_fewer_heads_of_keys_than_of_queries():
    q, k, v = heads(1, 6, 5, 4), heads(1, 2, 7, 4, seed=1), heads(1, 2, 7, 3, seed=2)
    wanted = torch.stack([by_hand(q[0, h], k[0, h // 3]) for h in range(6)])
    same((q, k, v), {"enable_gqa": True}, wanted)


@pytest.mark.parametrize("count", [4, 7, 9])
def test_causal(count):
    q, k, v = heads(1, 2, count, 4), heads(1, 2, 7, 4, seed=1), heads(1, 2, 7, 3, seed=2)
    same((q, k, v), {"is_causal": True}, by_hand(q[0], k[0], causal=True))


def test_scale_and_a_mask_for_all_heads():
    q, k, v = heads(2, 2, 5, 4), heads(2, 2, 7, 4, seed=1), heads(2, 2, 7, 4, seed=2)
    mask = heads(5, 7, seed=3)
    wanted = by_hand(q, k, mask=mask, scale=0.7).flatten(0, 1)
    same((q, k, v), {"attn_mask": mask, "scale": 0.7}, wanted)


def test_a_row_of_4096_tokens_takes_memory_of_its_length():
    count = 4096
    q, k, v = (heads(1, 3, count, 32, seed=n) for n in range(3))
    attention = fused((q, k, v), {}, F.scaled_dot_product_attention(q, k, v))
    done = measured(
        lambda: [attention.rows(h, [77])[0] @ attention.values_of(h) for h in range(3)], q.device
    )
    assert done.peak_bytes < 16 * 2**20  # all weights of a head take 64 MiB in single precision
    for head, found in enumerate(done.result):
        torch.testing.assert_close(found, attention.given(head, 77), atol=1e-6, rtol=1e-4)
