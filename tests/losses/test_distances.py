"""Distances equal to looking at every pair; the boundary loss by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.losses import loss_for
from pixelwise.losses.distances import distances


def by_pairs(inside):
    """Distance to the nearest pixel inside, from all pairs."""
    height, width = inside.shape
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).double()
    chosen = places[inside.flatten()]
    if not len(chosen):
        return torch.full((height, width), torch.inf)
    apart = (places[:, None] - chosen[None]).square().sum(dim=2)
    return apart.amin(dim=1).sqrt().float().view(height, width)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    share=st.sampled_from([0.0, 0.004, 0.03, 0.5, 1.0]),
)
def test_distances_equal_those_of_all_pairs(seed, height, width, share):
    generator = torch.Generator().manual_seed(seed)
    inside = torch.rand(3, height, width, generator=generator) < share
    expected = torch.stack([by_pairs(one) for one in inside])
    torch.testing.assert_close(distances(inside), expected, rtol=1e-6, atol=0)


def test_large_pictures_are_exact():
    inside = torch.zeros(1, 2, 5000, dtype=torch.bool)
    inside[0, 0, 0] = True
    found = distances(inside)
    assert found[0, 0].tolist() == list(range(5000))
    assert found[0, 1, 4999].double() == pytest.approx((4999**2 + 1) ** 0.5, rel=1e-7)


def test_boundary_loss_by_hand():
    mask = torch.tensor([[[0, 0, 1, 1, 255]]])
    logits = torch.randn(1, 2, 1, 5, requires_grad=True)
    signed = torch.tensor([[-1.0, 0, 1, 2], [2, 1, 0, -1]])
    expected = (logits.softmax(1)[0, :, 0, :4] * signed).sum() / 8
    torch.testing.assert_close(loss_for("multiclass", loss="boundary")(logits, mask), expected)
    one = logits[:, 1:] - logits[:, :1]
    expected = (one.sigmoid()[0, 0, 0, :4] * signed[1]).sum() / 4
    torch.testing.assert_close(loss_for("binary", loss="boundary")(one, mask), expected)


@pytest.mark.parametrize("k", [2, 5])
def test_boundary_loss_equals_scipy(k):
    edt = pytest.importorskip("scipy.ndimage").distance_transform_edt
    torch.manual_seed(k)
    mask = torch.randint(0, k, (2, 6, 7)).repeat_interleave(4, 1).repeat_interleave(3, 2)
    logits = torch.randn(2, k, 24, 21)
    signed = torch.zeros(2, k, 24, 21)
    for n in range(2):
        for c in range(k):
            inside = (mask[n] == c).numpy()
            if inside.any():
                signed[n, c] = torch.tensor(edt(~inside) * ~inside - (edt(inside) - 1) * inside)
    found = loss_for("multiclass", loss="boundary")(logits, mask)
    torch.testing.assert_close(found, (logits.softmax(1) * signed).mean())


def test_a_class_without_a_border_has_no_distance():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = loss_for("multiclass", loss="boundary")(logits, torch.ones(2, 4, 4, dtype=torch.int64))
    assert loss == 0
