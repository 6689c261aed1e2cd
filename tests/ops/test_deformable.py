"""All forms equal torchvision's operator."""

import pytest
import torch

from pixelwise.ops.deformable import deformable_convolution
from pixelwise.ops.running import choice

GEOMETRIES = {  # kernel, stride, padding, dilation, groups, offset groups
    "plain": ((3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    "strides": ((3, 3), (2, 1), (1, 0), (1, 1), 2, 1),
    "oblong": ((1, 4), (1, 2), (0, 2), (1, 2), 1, 4),
    "groups": ((2, 3), (1, 1), (3, 1), (2, 1), 4, 2),
}


def draw(name, size, modulated=True, dtype=torch.float64):
    kernel, stride, padding, dilation, groups, sharing = GEOMETRIES[name]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    generator = torch.Generator().manual_seed(1)

    def numbers(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    out = [
        (size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    ]
    taps = sharing * kernel[0] * kernel[1]
    x, offset = numbers(2, 8, *size), 3 * numbers(2, 2 * taps, *out)
    mask = numbers(2, taps, *out) if modulated else None
    return [x, offset, numbers(4, 8 // groups, *kernel), numbers(4), mask], geometry


def in_form(name):
    def form(*tensors, **geometry):
        with choice.forced(deformable=name):
            return deformable_convolution(*tensors, **geometry)

    return form


def run(form, tensors, geometry):
    tensors = [None if z is None else z.detach().requires_grad_() for z in tensors]
    out = form(*tensors, **geometry)
    g = (torch.arange(out.numel()) * 0.7).sin().view(out.shape).to(out.dtype)
    return out, *torch.autograd.grad(out, [z for z in tensors if z is not None], g)


@pytest.mark.parametrize("size", [(7, 9), (3, 4), (8, 3)], ids=str)
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_results_and_gradients(name, modulated, size):
    tensors, geometry = draw(name, size, modulated)
    if name == "oblong":
        size = (size[0], max(size[1], 4))
        tensors, geometry = draw(name, size, modulated)
    wanted = run(in_form("operator"), tensors, geometry)
    for form in ("plain", "traced", "lean"):
        for found, right in zip(run(in_form(form), tensors, geometry), wanted, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", ["plain", "lean"])
@pytest.mark.parametrize("far", [1e9, float("inf"), float("-inf"), float("nan")])
def test_offsets_out_of_the_map_read_nothing(far, form):
    tensors, geometry = draw("plain", (5, 6))
    tensors[1][0, :, 2, 3] = far
    found = run(in_form(form), tensors, geometry)
    torch.testing.assert_close(found[0][0, :, 2, 3], tensors[3])
    assert found[0].isfinite().all()
    assert found[1].isfinite().all()


def test_a_map_of_one_pixel():
    tensors, geometry = draw("plain", (1, 1))
    tensors[1] = 0.2 * tensors[1]
    found = [in_form(name)(*tensors, **geometry) for name in ("plain", "traced", "lean")]
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[1], found[2])


def test_offsets_of_whole_pixels_have_one_gradient():
    tensors, geometry = draw("groups", (7, 9))
    tensors[1] = tensors[1].round()
    wanted = run(in_form("operator"), tensors, geometry)
    for found, right in zip(run(in_form("plain"), tensors, geometry), wanted, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32(dtype):
    tensors, geometry = draw("plain", (7, 9), dtype=dtype)
    exact = deformable_convolution(*(z.float() for z in tensors), **geometry)
    found = deformable_convolution(*tensors, **geometry)
    assert found.dtype == dtype
    assert torch.equal(found, exact.to(dtype))


def test_nothing_is_read_outside_of_the_map():
    tensors, geometry = draw("plain", (7, 9))
    tensors[1] = torch.full_like(tensors[1], 50.0)
    for form in ("plain", "traced", "lean"):
        y = in_form(form)(*tensors, **geometry)
        torch.testing.assert_close(y, tensors[3][:, None, None].expand_as(y))
