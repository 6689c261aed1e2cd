import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.external_attention import ExternalAttention
from pixelwise.ops.slot_weights import slot_weights

OPTIONS = {"external": {"slots": 6}}
VARIANTS = {"external": [{"form": "heads", "heads": 2, "slots": 6}, {"form": "bare", "slots": 5}]}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, :, at[0], at[1]]
    found = layer.values(weights)[:, :, None, None]
    return (x[:, :, at[0], at[1]] + layer.restore(found)[:, :, 0, 0]).relu()


def direct(logits, epsilon):
    """As the equations say: (s, n)."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return p / (epsilon + p.sum(0, keepdim=True))


@pytest.mark.parametrize("epsilon", [0.0, 1e-9, 1e-2])
def test_weights_are_normalised_over_pixels_then_over_slots(epsilon):
    logits = 3 * torch.randn(2, 3, 5, 7).double()
    found = slot_weights(logits, epsilon)
    for b in range(2):
        for head in range(3):
            torch.testing.assert_close(found[b, head], direct(logits[b, head], epsilon))


def test_weights_in_half_precision_where_all_shares_of_a_pixel_underflow():
    logits = (8 * torch.randn(1, 1, 4, 128 * 128)).half()
    found = slot_weights(logits, 1e-9)
    assert found.dtype == torch.float32
    wanted = direct(logits[0, 0].double(), 1e-9).float()
    torch.testing.assert_close(found[0, 0], wanted, rtol=1e-3, atol=1e-5)
    assert wanted.sum(0).min() < 0.5


def test_block_adds_what_the_memory_holds():
    layer = ExternalAttention(4, slots=3).double().eval()
    x = torch.randn(1, 4, 3, 5).double()
    z = layer.project(x)[0].flatten(1)
    weights = direct(layer.keys.weight @ z, 1e-9)
    held = (layer.values.weight @ weights).view(1, 4, 3, 5)
    torch.testing.assert_close(layer(x), (x + layer.restore(held)).relu())


def test_heads_share_one_memory():
    layer = ExternalAttention(8, form="heads", heads=2, slots=3).double()
    assert layer.keys.weight.shape == (3, 4)
    x = torch.randn(1, 8, 3, 5).double()
    z = layer.project(x)[0].flatten(1)  # (32, n): eight heads of four
    parts = [
        layer.values.weight @ direct(layer.keys.weight @ part + layer.keys.bias[:, None], 1e-9)
        + layer.values.bias[:, None]
        for part in z.split(4)
    ]
    torch.testing.assert_close(layer(x), layer.restore(torch.cat(parts).view(1, 32, 3, 5)))


def test_bare_memory():
    layer = ExternalAttention(4, form="bare", slots=3).double()
    x = torch.randn(1, 4, 3, 5).double()
    weights = direct(layer.keys.weight @ x[0].flatten(1), 0.0)
    torch.testing.assert_close(layer(x)[0].flatten(1), layer.values.weight @ weights)


def test_keys_and_values_start_equal_and_are_two_parameters():
    layer = ExternalAttention(8)
    assert torch.equal(layer.values.weight, layer.keys.weight.T)
    with torch.no_grad():
        layer.values.weight.add_(1)
    assert not torch.equal(layer.values.weight, layer.keys.weight.T)


def test_one_pixel_has_no_variance_to_train_on():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        ExternalAttention(4).train()(torch.randn(1, 4, 1, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots=0: must be at least 1; raise slots"),
        ({"form": "block2"}, "form='block2': must be one of 'block', 'heads', 'bare'; did you"),
        ({"form": "heads", "heads": 3}, "heads=3: must divide channels=8; take fewer"),
        ({"heads": 0}, "heads=0: must be at least 1; raise heads"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ExternalAttention(8, **options)
