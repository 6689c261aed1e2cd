"""Forms that are compiled in name only, so that no compiler and no clock decides."""

import itertools
import types

import pytest

from pixelwise.compiling import measuring, per_mode, verdicts


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A folder for verdicts, of which this process knows none."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIXELWISE_CACHE", str(folder))
    verdicts.forget()
    yield folder / "compiled"
    verdicts.forget()


class Pretended:
    """Says how fast the compiled forms are, counts them, and may spoil what they give."""

    def __init__(self):
        self.faster = 2.0
        self.made = self.measured = self.used = 0
        self.spoil = lambda y, x: y

    def form(self, layer):
        self.made += 1

        def forward(own, x):
            self.used += 1
            return self.spoil(type(own).forward(own, x), x)

        return types.MethodType(forward, layer)

    def timed(self, ours, theirs):
        self.measured += 1
        return [self.faster] * 5, [1.0] * 5


@pytest.fixture
def pretended(monkeypatch):
    found = Pretended()
    monkeypatch.setattr(measuring, "compiled_form", found.form)
    monkeypatch.setattr(measuring, "timed", found.timed)
    monkeypatch.setattr(measuring, "graphs", itertools.count().__next__)
    monkeypatch.setattr(per_mode, "compiler", lambda: "c++")
    return found
