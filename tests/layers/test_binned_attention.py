import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.shared.binned_attention import BinnedAttention, BinnedAttentionBlock
from pixelwise.ops.running import choice


def block(stages=1, *, low=6, shared=False):
    torch.manual_seed(0)
    made = [BinnedAttention(8, low, 4, (1, 2, 3), shared=shared) for _ in range(stages)]
    return BinnedAttentionBlock(made, 8, "relu").double().eval()


@torch.no_grad()
@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("at", [(0, 0), (4, 2), (6, 4)])
def test_output_is_reconstructed_from_the_maps(stages, at):
    layer = block(stages)
    x, guide = torch.randn(1, 8, 7, 5).double(), torch.randn(1, 6, 9, 4).double()
    heads = layer.maps(x, guide, at).spatial
    assert heads.shape == (1, 3 * stages, 9, 4)
    seen = 0
    for stage, weights in zip(layer.stages, heads.chunk(stages, dim=1), strict=True):
        torch.testing.assert_close(weights.sum(), torch.ones(()).double())
        value = stage.project(stage.value(guide))
        seen = seen + torch.einsum("bhij,bcij->bc", weights, value)
    own = x[:, :, at[0], at[1]]
    y = layer.join(torch.cat([seen, own], dim=1)[:, :, None, None])[:, :, 0, 0]
    torch.testing.assert_close(y, layer(x, guide)[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@pytest.mark.parametrize("options", [{}, {"stages": 2}, {"shared": True}], ids=str)
def test_the_lean_form_equals_the_plain_one(options, training):
    found = {}
    for form in ("plain", "lean"):
        layer = block(**options, low=8).train(training)
        x = torch.arange(2 * 8 * 7 * 5).sin().view(2, 8, 7, 5).double().requires_grad_()
        guide = x if "shared" in options else x.flip(2)[:, :, :4]
        with choice.forced(layer=form):
            y = layer(x, guide)
        gradients = torch.autograd.grad(y.cos().sum(), [x, *layer.parameters()])
        found[form] = (y, gradients, layer.state_dict())
    torch.testing.assert_close(found["lean"], found["plain"], rtol=1e-9, atol=1e-9)


def test_a_hook_in_a_part_has_its_effect():
    layer, x = block(), torch.randn(1, 8, 7, 5).double()
    before = layer(x, x[:, :6])
    for name in ("stages.0.query", "stages.0.keys.0", "stages.0.value", "stages.0", "join.1"):
        handle = layer.get_submodule(name).register_forward_hook(lambda _, given, y: 2 * y + 0.5)
        assert not torch.allclose(layer(x, x[:, :6]), before), name
        handle.remove()


def test_maps_need_a_pixel_of_the_map():
    layer, x = block(), torch.zeros(1, 8, 3, 3).double()
    for at in (None, (3, 0)):
        with pytest.raises(InputError, match="at="):
            layer.maps(x, x[:, :6], at)
