import pytest
import torch

from pixelwise.predict.rasters import blending as blending_
from pixelwise.predict.rasters.blending import blending
from pixelwise.predict.rasters.grid import Grid
from pixelwise.predict.windows import predict_logits

SIZES = [
    (49, 12, (3, 26), 0.0), (70, 64, (30, 17), 0.25), (33, 61, (20, 20), 0.7), (5, 90, (9, 9), 0.9),
    (1, 1, (4, 4), 0.25), (64, 64, (64, 64), 0.5),
]  # fmt: skip


def model(x):
    return torch.cat([x.cumsum(-1).sin(), x.cumsum(-2).cos(), 3 * x], dim=1)


def blended(x, grid, start=0):
    """Rows of windows from `start` on, begun as late as may be."""
    found = torch.full((3, grid.height, grid.width), float("nan"))
    begun, (h, w) = grid.reaching(start), grid.window
    with blending(grid) as blend:
        for row in range(begun, grid.rows):
            for column in range(grid.columns):
                top, left = grid.tops[row], grid.lefts[column]
                logits = model(x[..., top : top + h, left : left + w])[0]
                block = blend.add(row, column, logits, row == begun)
                if row >= start:
                    high, wide = block.logits.shape[1:]
                    place = slice(block.top, block.top + high), slice(left, left + wide)
                    found[:, *place] = block.logits
    return found


@pytest.mark.parametrize("kept", [0, 10**9], ids=["in_a_file", "in_memory"])
@pytest.mark.parametrize(("height", "width", "window", "overlap"), SIZES)
def test_blocks_are_the_very_logits_of_whole_pictures(
    height, width, window, overlap, kept, monkeypatch
):
    monkeypatch.setattr(blending_, "MOST_KEPT", kept)
    x = torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    grid = Grid(height, width, window, overlap)
    whole = predict_logits(model, x, window=window, overlap=overlap)[0]
    for start in range(grid.rows):
        top = grid.tops[start]
        assert torch.equal(blended(x, grid, start)[:, top:], whole[:, top:])
