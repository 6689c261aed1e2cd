import pytest
import torch

from largest import Largest
from pixelwise.ops.encoding import _product_form, assignments, encoding, reference
from pixelwise.ops.running import blocks, choice


def authors(*inputs):
    with choice.forced(encoding="authors"):
        return encoding(*inputs)


FORMS = [encoding, authors, lambda *inputs: _product_form(*inputs)[1]]
SHAPES = [(1, 1, 1, 1), (2, 3, 17, 4), (3, 8, 5, 2), (1, 6, 1, 5), (2, 16, 40, 7)]


@pytest.fixture(params=[1, 40, 1 << 20], ids=["tiny blocks", "small blocks", "one block"])
def block_size(request, monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", request.param)


def draw(b, c, n, k, dtype=torch.float64):
    generator = torch.Generator().manual_seed(b + c + n + k)
    x, codewords = (torch.randn(s, generator=generator).to(dtype) for s in ((b, c, n), (k, c)))
    return x, codewords, (torch.rand(k, generator=generator).to(dtype) - 0.8)


def run(form, inputs):
    inputs = [value.detach().requires_grad_() for value in inputs]
    y = form(*inputs)
    g = torch.arange(y.numel()).view(y.shape).cos().to(y.dtype)
    return y, *torch.autograd.grad(y, inputs, g)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_equals_the_reference(shape, form, block_size):
    inputs = draw(*shape)
    for found, wanted in zip(run(form, inputs), run(reference, inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_layout_does_not_matter(block_size):
    x, *others = draw(2, 6, 20, 3)
    wanted = run(encoding, (x, *others))
    wide = torch.zeros(2, 6, 40).double()
    wide[:, :, ::2] = x
    for other in (x.mT.contiguous().mT, wide[:, :, ::2]):
        for one, two in zip(run(encoding, (other, *others)), wanted, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", [encoding, authors])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_give_sums_in_float32(dtype, form):
    inputs = draw(2, 6, 20, 3, dtype)
    found = run(form, inputs)
    wanted = run(reference, [value.double() for value in inputs])
    assert found[0].dtype == torch.float32
    for one, two, value in zip(found[1:], wanted[1:], inputs, strict=True):
        assert one.dtype == value.dtype
        assert (one.double() - two).abs().max() <= 1e-2 * two.abs().max()
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_far_from_zero_nothing_cancels(offset):
    x, codewords, scale = draw(2, 64, 500, 32, torch.float32)
    x, codewords = x + offset, codewords + offset
    exact = reference(x.double(), codewords.double(), scale.double())
    for form in FORMS:
        error = (form(x, codewords, scale).double() - exact).abs().max() / exact.abs().max()
        assert error < 1e-5


@pytest.mark.parametrize("form", [encoding, authors])
def test_gradients_by_finite_differences(form):
    inputs = [value.requires_grad_() for value in draw(2, 5, 7, 3)]
    assert torch.autograd.gradcheck(form, inputs)
    assert torch.autograd.gradgradcheck(form, inputs, fast_mode=True)


def test_assignments_are_those_of_the_sums():
    x, codewords, scale = draw(2, 5, 7, 3)
    weights = assignments(x, codewords, scale)
    apart = x[:, None] - codewords[:, :, None]
    found = torch.einsum("bkn,bkcn->bkc", weights, apart)
    torch.testing.assert_close(found, encoding(x, codewords, scale))


def test_differences_are_never_stored():
    inputs = [value.requires_grad_() for value in draw(2, 32, 400, 16)]
    with Largest() as seen:
        encoding(*inputs).sum().backward()
    assert 0 < seen.elements <= 2 * 32 * 400


@pytest.mark.parametrize(
    ("form", "kept"), [(authors, 2 * 32 * 400), (reference, 2 * 32 * 400 * 16)]
)
def test_authors_write_all_differences_and_keep_none(form, kept):
    """What they cost in training; under autograd alone the differences would be kept."""
    inputs = [value.requires_grad_() for value in draw(2, 32, 400, 16)]
    sizes = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda value: sizes.append(value.numel()) or value, lambda value: value
    )
    with Largest() as seen, hooks:
        form(*inputs)
    assert seen.elements == 2 * 32 * 400 * 16
    assert max(sizes) == kept
