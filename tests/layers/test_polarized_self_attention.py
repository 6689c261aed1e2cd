import pytest
import test_parallel_polarized_self_attention as parallel
import test_sequential_polarized_self_attention as sequential
import torch

from pixelwise.errors import InputError
from pixelwise.layers.parallel_polarized_self_attention import ParallelPolarizedSelfAttention
from pixelwise.layers.sequential_polarized_self_attention import SequentialPolarizedSelfAttention

BOTH = [ParallelPolarizedSelfAttention, SequentialPolarizedSelfAttention]


@pytest.mark.parametrize(("form", "told"), [*zip(BOTH, [parallel, sequential], strict=True)])
@pytest.mark.parametrize("variant", ["code", "paper"])
def test_both_variants_keep_their_maps_true(form, told, variant):
    layer = form(16, variant=variant).double()
    x = torch.randn(2, 16, 4, 6).double()
    torch.testing.assert_close(told.reconstruct(layer, x, (3, 1)), layer(x)[:, :, 3, 1])


@pytest.mark.parametrize("form", BOTH)
def test_variants_are_other_arithmetic(form):
    code, paper = form(16), form(16, variant="paper")
    with torch.no_grad():
        for name, value in paper.named_parameters():
            twin = dict(code.named_parameters()).get(name)
            if twin is not None and twin.shape == value.shape:
                value.copy_(twin)
    x = torch.randn(1, 16, 6, 5)
    assert not torch.allclose(code.maps(x).spatial, paper.maps(x).spatial, atol=1e-3)


def test_parallel_pixel_gate_is_nearly_constant():
    gate = ParallelPolarizedSelfAttention(16).maps(torch.randn(1, 16, 9, 13)).spatial
    assert gate.mean().item() == pytest.approx(0.5 + 1 / (4 * 9 * 13), abs=1e-4)


@pytest.mark.parametrize("form", BOTH)
def test_variants_refuse_each_others_checkpoints(form):
    theirs = {"ch_wq.weight": torch.zeros(1, 16, 1, 1), "ch_wq.bias": torch.zeros(1)}
    with pytest.raises(InputError, match=r"left over: ch_wq\.bias"):
        form(16).load_reference(theirs)


@pytest.mark.parametrize("form", BOTH)
def test_initialisation_follows_the_reference_of_the_variant(form):
    torch.manual_seed(0)
    code, paper = form(512), form(512, variant="paper")
    wide, narrow = code.spatial_value.weight.std(), paper.spatial_value.weight.std()
    assert wide.item() == pytest.approx((2 / 512) ** 0.5, rel=0.05)
    assert narrow.item() == pytest.approx((1 / 512 / 3) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("form", "channels", "variant", "message"),
    [
        (ParallelPolarizedSelfAttention, 1, "code", "channels=1: must be at least 2"),
        (SequentialPolarizedSelfAttention, 7, "code", "channels=7: must be at least 8"),
        (SequentialPolarizedSelfAttention, 1, "paper", "channels=1: must be at least 2"),
        (
            ParallelPolarizedSelfAttention,
            8,
            "papre",
            "variant='papre': must be one of",
        ),
    ],
)
def test_bad_options(form, channels, variant, message):
    with pytest.raises(InputError, match=message):
        form(channels, variant=variant)
