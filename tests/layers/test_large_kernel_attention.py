import torch
import torch.nn.functional as F

from pixelwise.layers.large_kernel_attention import LargeKernelAttention

VARIANTS = {"lka": [{"projected": True}]}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_projected_output_follows_from_its_maps():
    layer = LargeKernelAttention(8, projected=True).double()
    x = torch.randn(2, 8, 7, 5).double()
    gated = F.gelu(layer.project_in(x)) * layer.maps(x).spatial
    torch.testing.assert_close(layer(x), x + layer.project_out(gated))


def test_a_pixel_is_seen_eleven_rows_and_columns_away():
    layer = LargeKernelAttention(2).double()
    x = torch.randn(1, 2, 27, 29).double()
    other = x.clone()
    other[:, :, 13, 14] += 1.0
    seen = ((layer.maps(x).spatial - layer.maps(other).spatial).abs() > 1e-12).any(1)[0]
    wanted = torch.zeros(27, 29, dtype=torch.bool)
    wanted[2:25, 3:26] = True
    assert torch.equal(seen, wanted)


def test_one_kernel_of_23_is_the_same_inside_and_not_at_the_border():
    """At the border, the second convolution sees zeros where the first has none."""
    layer = LargeKernelAttention(2).double()
    x = torch.randn(1, 2, 24, 23).double()
    far, near = layer.far.weight, layer.near.weight
    apart = torch.zeros(2, 1, 19, 19).double()
    apart[:, :, ::3, ::3] = far
    kernel = F.conv_transpose2d(apart.transpose(0, 1), near, groups=2).transpose(0, 1)
    bias = layer.far.bias + far.sum((1, 2, 3)) * layer.near.bias
    found = x * layer.mix(F.conv2d(x, kernel, bias, padding=11, groups=2))
    y = layer(x)
    torch.testing.assert_close(found[:, :, 9:-9, 9:-9], y[:, :, 9:-9, 9:-9])
    assert not torch.allclose(found[:, :, 0], y[:, :, 0], rtol=0.05)


def test_the_factor_may_be_negative_and_large():
    torch.manual_seed(0)
    layer = LargeKernelAttention(8)
    factor = layer.maps(20 * torch.randn(1, 8, 16, 16)).spatial
    assert factor.min() < -1
    assert factor.max() > 1
