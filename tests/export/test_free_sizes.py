"""Programs of torch.export take the sizes that the module takes, in memory and from a file."""

import pytest
import torch
from torch import nn

from pixelwise.export.program import free_axes, traced, write_program
from pixelwise.networks.parts import ChannelNorm

SAMPLE = (2, 3, 32, 40)


class Bounded(nn.Module):
    """Does something else with fewer than nine rows."""

    def forward(self, x):
        return x + 1 if x.shape[2] >= 9 else x - 1


def programs(module, path):
    """The module exported with free sizes, as it is and from its file."""
    program = traced(module, (torch.randn(SAMPLE),), (free_axes(fixed=False),))
    write_program(program, path)
    return program.module(), torch.export.load(path).module()


@pytest.mark.parametrize("size", [(1, 3, 5, 6), (3, 3, 8, 40), (1, 3, 33, 7), (1, 3, 1, 1)])
def test_maps_of_one_row_column_or_pixel(size, tmp_path):
    parts = nn.Conv2d(3, 4, 3, 8, 1), ChannelNorm(4), nn.Conv2d(4, 4, 3, 1, 1)
    module = nn.Sequential(*parts).eval()
    x = torch.randn(size)
    for run in programs(module, tmp_path / "model.pt2"):
        with torch.no_grad():
            torch.testing.assert_close(run(x), module(x))


def test_bounds_that_count_stay(tmp_path):
    for run in programs(Bounded().eval(), tmp_path / "model.pt2"):
        assert torch.equal(run(torch.zeros(3, 3, 9, 5)), torch.ones(3, 3, 9, 5))
        with pytest.raises(AssertionError, match="Guard failed"):
            run(torch.zeros(2, 3, 8, 40))
