from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pixelwise.errors import InputError
from pixelwise.predict.windows import predict_bands, predict_logits, tile_starts, tile_weights


@settings(deadline=None)
@given(
    length=st.integers(1, 300),
    tile=st.integers(1, 300),
    overlap=st.floats(0, 0.95),
)
def test_tiles_cover_every_pixel_and_their_weights_sum_to_one(length, tile, overlap):
    tile = min(tile, length)
    starts = tile_starts(length, tile, overlap)
    weights = tile_weights(length, tile, starts)
    assert starts[0] == 0
    assert starts[-1] == length - tile
    assert len(set(starts)) == len(starts)
    total = torch.zeros(length, dtype=torch.float64)
    for start, weight in zip(starts, weights, strict=True):
        assert (weight > 0).all()
        total[start : start + tile] += weight
    torch.testing.assert_close(total, torch.ones(length, dtype=torch.float64))


@settings(deadline=None)
@given(length=st.integers(64, 400), overlap=st.sampled_from([0.0, 0.25, 0.5]))
def test_neighbours_overlap_at_least_as_asked(length, overlap):
    tile = 32
    starts = tile_starts(length, tile, overlap)
    for start, following in pairwise(starts):
        assert start + tile - following >= overlap * tile


@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    window=st.tuples(st.integers(3, 24), st.integers(3, 24)),
    overlap=st.sampled_from([0.0, 0.25, 0.6]),
)
def test_a_pointwise_model_gives_the_same_in_tiles(size, window, overlap):
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))

    def model(x):
        return torch.cat([x.sum(1, keepdim=True), x.prod(1, keepdim=True)], dim=1)

    logits = predict_logits(model, image, window=window, overlap=overlap)
    torch.testing.assert_close(logits, model(image), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("window", [None, (20, 30), (64, 64)])
def test_a_picture_that_fits_takes_one_plain_call(window):
    torch.manual_seed(0)
    model = nn.Conv2d(3, 5, 3, padding=1).eval()
    image = torch.randn(1, 3, 20, 30)
    assert torch.equal(predict_logits(model, image, window=window), model(image))


def test_every_tile_has_one_size_and_one_axis_may_fit():
    seen = []

    def model(x):
        seen.append(tuple(x.shape[-2:]))
        return x

    predict_logits(model, torch.zeros(1, 1, 10, 50), window=(16, 16))
    assert set(seen) == {(10, 16)}
    assert len(seen) > 1


def test_no_seam_between_tiles_that_disagree():
    """A model that adds another constant to every tile: blending leaves only gentle steps."""
    calls = iter(range(100))
    image = torch.zeros(1, 1, 32, 200)
    logits = predict_logits(lambda x: x + next(calls) % 2, image, window=(32, 64), overlap=0.5)
    steps = logits.diff(dim=-1).abs().max()
    assert 0 < steps < 0.1


def test_bands_join_to_the_logits_and_are_no_taller_than_a_tile():
    image = torch.randn(1, 2, 90, 40)
    bands = list(predict_bands(torch.sin, image, window=(32, 32)))
    assert max(band.shape[2] for band in bands) <= 32
    torch.testing.assert_close(torch.cat(bands, 2), image.sin(), rtol=1e-6, atol=1e-6)


def test_half_precision_is_accumulated_in_float32():
    image = torch.rand(1, 1, 40, 40)
    logits = predict_logits(lambda x: x.bfloat16(), image, window=(16, 16))
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    ("window", "overlap", "message"),
    [
        ((0, 8), 0.25, r"window=\(0, 8\): must be"),
        ((8, 8), 1.0, "overlap=1.0: must be"),
        ((8, 8), -0.1, "overlap=-0.1"),
    ],
)
def test_bad_values_are_refused(window, overlap, message):
    with pytest.raises(InputError, match=message):
        predict_logits(lambda x: x, torch.zeros(1, 1, 9, 9), window=window, overlap=overlap)
