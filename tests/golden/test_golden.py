"""Outputs, gradients and buffers equal the recorded ones of the authors' code."""

import pytest
import torch
from adapters import ADAPTERS, DIFFERENT
from recorded import deviations


def test_equals_authors(recorded, record_property):
    system = recorded.system
    record_property("system", system)
    if system in DIFFERENT:
        pytest.skip(f"{system}: {DIFFERENT[system]}")
    if system not in ADAPTERS:
        pytest.skip(f"{system}: no adapter for this system")
    far = []
    for kind in (torch.float64, torch.float32):
        found = deviations(recorded, ADAPTERS[system], kind)
        precision = str(kind).removeprefix("torch.")
        for group in ("output", "gradient"):
            errors = [d.error for d in found if (d.kind == "output") == (group == "output")]
            if errors:
                record_property(f"{precision} {group}", max(errors))
        far += [
            f"{d.name}: {d.error:.1e} in {precision}, allowed {d.limit:.1e}"
            for d in found
            if not d.error <= d.limit
        ]
    assert not far, "; ".join(far)
