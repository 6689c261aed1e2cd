"""Cells: cutting and joining are inverse, pixels lie where they should, traced forms are equal."""

import pytest
import torch

from pixelwise.ops import cells

CASES = [((6, 8), (3, 2)), ((7, 5), (4, 3)), ((1, 1), (8, 8)), ((9, 4), (1, 1)), ((5, 6), (2, 9))]
cases = pytest.mark.parametrize(("size", "cell"), CASES, ids=str)


@pytest.fixture(params=[False, True], ids=["eager", "traced form"])
def traced(request, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: request.param)


def numbered(*size):
    return torch.arange(2 * 3 * size[0] * size[1]).reshape(2, 3, *size).double() + 1


@cases
def test_zeros_around_and_back(size, cell, traced):
    x = numbered(*size).requires_grad_()
    padded = cells.pad(x, cell)
    assert all(side % inner == 0 for side, inner in zip(padded.shape[2:], cell, strict=True))
    (above, below), (left, right) = cells.margins(x, cell)
    assert padded.shape[2:] == (above + size[0] + below, left + size[1] + right)
    assert 0 <= below - above <= 1
    assert 0 <= right - left <= 1
    assert padded.sum() == x.sum()
    assert torch.equal(cells.crop(padded, x), x)
    (gradient,) = torch.autograd.grad(padded.cos().sum(), x)
    torch.testing.assert_close(gradient, -x.sin())


@cases
@pytest.mark.parametrize("by", ["cell", "place"])
def test_groups(size, cell, by, traced):
    x = cells.pad(numbered(*size), cell)
    groups = cells.split(x, cell, by)
    assert torch.equal(cells.join(groups, x, cell, by), x)
    rows, columns = cell
    i, j = x.shape[2] // rows - 1, x.shape[3] // columns - 1
    count = rows * columns if by == "place" else (i + 1) * (j + 1)
    assert groups.shape == (2 * count, 3, x[0, 0].numel() // count)
    last = x[1, :, i * rows :, j * columns :] if by == "cell" else None
    last = x[1, :, rows - 1 :: rows, columns - 1 :: columns] if last is None else last
    assert torch.equal(groups[-1], last.flatten(1))
    first = x[0, :, :rows, :columns] if by == "cell" else x[0, :, ::rows, ::columns]
    assert torch.equal(groups[0], first.flatten(1))


def test_channels_last(traced):
    x = numbered(6, 8)
    last = x.to(memory_format=torch.channels_last)
    for by in ("cell", "place"):
        groups = cells.split(last, (3, 2), by)
        assert torch.equal(groups, cells.split(x, (3, 2), by))
        assert torch.equal(cells.join(groups, last, (3, 2), by), x)
