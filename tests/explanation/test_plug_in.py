"""A layer from outside says itself what its heads are; nothing in `explanation` knows it."""

import pytest
import torch
from torch import nn

import pixelwise
from pixelwise.errors import InputError
from pixelwise.explanation.reading import read
from pixelwise.layers.base import AttentionLayer, Heads, Maps


class RowAndColumn(AttentionLayer):
    """The mean of the pixel's row, and that of its column."""

    cost_exponent = 1.0
    map_heads = Heads("sum", ("row", "column"))

    def plain(self, x):
        return x + x.mean(3, keepdim=True) + x.mean(2, keepdim=True)

    def maps(self, x, at=None):
        row, column = at
        spatial = x.new_zeros(len(x), 2, *x.shape[2:])
        spatial[:, 0, row] = 1 / x.shape[3]
        spatial[:, 1, :, column] = 1 / x.shape[2]
        return Maps(spatial)


class Halves(RowAndColumn):
    """The same, in four heads of two kinds."""

    map_heads = Heads("mean", ("row", "column"))

    def maps(self, x, at=None):
        return Maps(super().maps(x, at).spatial.repeat_interleave(2, dim=1) / 2)

    def joined_heads(self, heads, x, at):
        return torch.unflatten(heads, 0, (2, 2)).sum(1)


@pytest.mark.parametrize(("layer", "share"), [(RowAndColumn, 1), (Halves, 2)])
def test_parts_have_the_names_of_the_layer(layer, share, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), layer(4), nn.Conv2d(4, 2, 1))
    found = pixelwise.explain(model, torch.rand(1, 3, 5, 8), (2, 6))
    (one,) = found.maps
    assert list(one.parts) == ["row", "column"]
    assert one.parts["row"][2].tolist() == [1 / 8] * 8
    assert one.parts["column"][:, 6].tolist() == pytest.approx([1 / 5] * 5)
    torch.testing.assert_close(one.spatial, sum(one.parts.values()) / share)
    assert [deletion.name for deletion in found.deletions] == [one.name]
    assert found.save(tmp_path / "look.html").stat().st_size > 10_000


def test_names_that_are_not_those_of_the_heads():
    layer = RowAndColumn(2)
    layer.map_heads = Heads("sum", ("row", "column", "diagonal"))
    with pytest.raises(InputError, match=r"map_heads=.*'diagonal'.* 2 heads of RowAndColumn\.maps"):
        read(layer, (torch.ones(1, 2, 4, 6),), (1, 2))
