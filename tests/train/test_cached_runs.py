"""Runs with decoded pictures kept: the same weights, to the last bit."""

import pytest

from pixelwise.train.run import train


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_learnt_does_not_depend_on_the_cache(settings, silent, workers):
    weights = []
    for cache in ("none", "memory:1GB", "memory:100MB"):
        finished = train(settings(cache=cache, workers=workers), silent)
        weights.append((finished.run / "last" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]
    assert any(line.startswith("cache   ") for line in silent.lines)
