"""Any layer, option, shape, type and layout: the right numbers, or an InputError.

Slow: 600 cases with a fixed seed.
"""

import copy

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from test_contract import LAYERS, build, quiet, told, with_guide

from pixelwise.errors import InputError
from pixelwise.layers.registry import options
from pixelwise.ops.running import choice

CASES = 600
LIMIT = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 8e-2, torch.float16: 2e-2}
KINDS = [*LIMIT, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]
LAYOUTS = {
    "as it is": lambda x: x,
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "columns first": lambda x: x.mT.contiguous().mT,
    "every second image": lambda x: torch.stack([x, x], dim=1).flatten(0, 1)[::2],
    "(b, h, w, c)": lambda x: x.permute(0, 2, 3, 1),
    "(c, b, h, w)": lambda x: x.transpose(0, 1),
    "(c, h, w)": lambda x: x.flatten(0, 1),
    "(b, c, n)": lambda x: x.flatten(2),
    "(b, c, 1, h, w)": lambda x: x[:, :, None],
}
KNOWN = {  # asked here: checks of types draw random numbers, which no strategy may
    key: {k: v for k, v in options(key).items() if isinstance(v, bool | int | float)}
    for key in LAYERS
}
VALUES = {bool: st.booleans(), int: st.integers(-1, 9), float: st.floats(-0.5, 1.5)}


@st.composite
def chosen(draw):
    """A layer, and one option with another value of the default's kind, or none."""
    key = draw(st.sampled_from(LAYERS))
    found = dict(told(key, "OPTIONS", {}).get(key, {}))
    if draw(st.booleans()):
        found |= draw(st.sampled_from([*told(key, "VARIANTS", {}).get(key, ()), {}]))
    if KNOWN[key] and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(KNOWN[key])))
        found[name] = draw(VALUES[type(KNOWN[key][name])])
    return key, found


@pytest.mark.slow
@settings(
    max_examples=CASES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    chosen(),
    st.tuples(st.integers(0, 3), st.integers(1, 18), st.integers(0, 18)),
    st.sampled_from([8, 16, 17]),
    st.one_of(st.sampled_from(list(LIMIT)), st.sampled_from(KINDS)),
    st.one_of(st.sampled_from(list(LAYOUTS)[:4]), st.sampled_from(list(LAYOUTS))),
    st.booleans(),
)
def test_any_use_is_right_or_refused(layer_options, size, channels, kind, layout, training):
    key, found = layer_options
    (b, h, w) = size
    try:
        layer = quiet(build(key, channels, **found).train(training))
        x = torch.randn(b, channels, h, w, generator=torch.Generator().manual_seed(b + 3 * h + w))
        if min(h, w) == 0 or b == 0:
            layer.check(x)
        images = with_guide(key, x)
        if kind in LIMIT:
            layer, images = layer.to(kind), tuple(z.to(kind) for z in images)
        else:
            images = tuple(z.to(kind) for z in images)
        given_images = tuple(LAYOUTS[layout](z) for z in images)
        exact, again = copy.deepcopy(layer).double(), copy.deepcopy(layer)
        y = layer(*given_images)
    except InputError:
        event("refused")
        return
    except ValueError as error:
        if "more than 1 value" not in str(error):  # has no variance, in torch's own words
            raise
        event("refused by torch")
        return
    event("right")
    with choice.forced(layer="plain"):
        wanted = exact(*(z.double() for z in given_images))
    assert y.dtype == kind
    assert y.shape == wanted.shape
    if y.numel():
        limit = LIMIT[kind] * wanted.abs().max().clamp(min=1e-6)
        error = (y.double() - wanted).abs().max()
        if error > limit:  # batch norms of few values enlarge what any form rounds
            with choice.forced(layer="plain"):
                limit = 4 * (again(*given_images).double() - wanted).abs().max()
        assert error <= limit
