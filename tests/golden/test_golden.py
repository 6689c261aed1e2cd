"""Outputs, gradients and buffers equal the recorded ones of the authors' code."""

import pytest
import torch
from adapters import ADAPTERS, DIFFERENT
from recorded import deviations

from pixelwise.ops.running import choice


def compared(recorded, kind):
    if recorded.system in DIFFERENT:
        pytest.skip(f"{recorded.system}: {DIFFERENT[recorded.system]}")
    if recorded.system not in ADAPTERS:
        pytest.skip(f"{recorded.system}: no adapter for this system")
    return deviations(recorded, ADAPTERS[recorded.system], kind)


def beyond(found, kind):
    precision = str(kind).removeprefix("torch.")
    return [
        f"{d.name}: {d.error:.1e} in {precision}, allowed {d.limit:.1e}"
        for d in found
        if not d.error <= d.limit
    ]


def test_equals_authors(recorded, record_property):
    record_property("system", recorded.system)
    far = []
    for kind in (torch.float64, torch.float32):
        found = compared(recorded, kind)
        precision = str(kind).removeprefix("torch.")
        for group in ("output", "gradient"):
            errors = [d.error for d in found if (d.kind == "output") == (group == "output")]
            if errors:
                record_property(f"{precision} {group}", max(errors))
        far += beyond(found, kind)
    assert not far, "; ".join(far)


@pytest.mark.parametrize("form", ["plain", "lean", "fused", "traced"])
def test_equals_authors_in_each_form(recorded, form):
    forms = {name: form for name, known in choice.FORMS.items() if form in known}
    with choice.forced(**forms):
        far = beyond(compared(recorded, torch.float64), torch.float64)
    assert not far, "; ".join(far)
