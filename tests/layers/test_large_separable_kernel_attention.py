import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.large_separable_kernel_attention import (
    KERNELS,
    LargeSeparableKernelAttention,
)

VARIANTS = {"lska": [{"kernel_size": 7, "projected": True}, {"kernel_size": 35}]}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_projected_output_follows_from_its_maps():
    layer = LargeSeparableKernelAttention(8, projected=True).double()
    x = torch.randn(2, 8, 7, 5).double()
    gated = F.gelu(layer.project_in(x)) * layer.maps(x).spatial
    torch.testing.assert_close(layer(x), x + layer.project_out(gated))


@pytest.mark.parametrize("side", KERNELS)
def test_the_square_that_is_seen_has_the_side_of_the_option(side):
    layer = LargeSeparableKernelAttention(1, kernel_size=side).double()
    x = torch.randn(1, 1, side + 4, side + 6).double().requires_grad_()
    middle = layer.maps(x).spatial[0, 0, side // 2 + 2, side // 2 + 3]
    (slope,) = torch.autograd.grad(middle, x)
    rows, columns = (slope[0, 0] != 0).nonzero().T
    assert (int(rows.min()), int(rows.max())) == (2, side + 1)
    assert (int(columns.min()), int(columns.max())) == (3, side + 2)


def test_rows_and_columns_commute_without_biases():
    layer = LargeSeparableKernelAttention(3, kernel_size=11).double()
    parts = layer.near_rows, layer.near_columns, layer.far_rows, layer.far_columns
    for part in parts:
        torch.nn.init.zeros_(part.bias)
    x = torch.randn(2, 3, 6, 9).double()
    near, across, far, down = parts
    torch.testing.assert_close(layer(x), x * layer.mix(down(across(far(near(x))))))


@pytest.mark.parametrize(
    "names",
    [
        ("conv0h", "conv0v", "conv_spatial_h", "conv_spatial_v"),
        ("DW_conv_h", "DW_conv_v", "DW_D_conv_h", "DW_D_conv_v"),
    ],
)
@pytest.mark.parametrize("projected", [False, True])
def test_both_sets_of_names_load(names, projected):
    source, other = (LargeSeparableKernelAttention(4, projected=projected) for _ in range(2))
    parts = ("near_rows", "near_columns", "far_rows", "far_columns", "mix")
    unit = "spatial_gating_unit." * projected
    theirs = {part: unit + name for part, name in zip(parts, (*names, "conv1"), strict=True)} | {
        "project_in": "proj_1",
        "project_out": "proj_2",
    }
    state = {}
    for key, value in source.state_dict().items():
        part, leaf = key.split(".")
        state[f"{theirs[part]}.{leaf}"] = value
    other.load_reference(state)
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(other(x), source(x))


@pytest.mark.parametrize(("side", "near"), [(15, 11), (0, 7), (100, 53)])
def test_a_size_without_kernels_is_refused(side, near):
    told = f"kernel_size={side}: must be one of 7, 11, 23, 35, 41, 53; use {near}"
    with pytest.raises(InputError, match=told):
        LargeSeparableKernelAttention(8, kernel_size=side)
