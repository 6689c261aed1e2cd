import inspect

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pixelwise.errors import InputError
from pixelwise.layers.base import pixel_place
from pixelwise.layers.position_attention import PositionAttention

PER_PIXEL = {"pam"}
VARIANTS = {"pam": [{"variant": "untransposed"}]}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, 0]
    value = torch.einsum("oc,bcij->boij", layer.value.weight, x) + layer.value.bias[:, None, None]
    seen = torch.einsum("bij,boij->bo", weights, value)
    return x[:, :, at[0], at[1]] + layer.gain * seen


class Pairs(TorchDispatchMode):
    """Notes every result with two axes of at least `pixels`, or as many elements as all pairs."""

    def __init__(self, pixels):
        super().__init__()
        self.pixels, self.found, self.results = pixels, [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.results += 1
                if value.numel() >= self.pixels**2:
                    self.found.append((function, value.shape))
        return result


def test_all_pairs_never_exist_forward_or_backward():
    layer = PositionAttention(16)
    torch.nn.init.ones_(layer.gain)
    x = torch.randn(1, 16, 64, 64, requires_grad=True)
    with Pairs(64 * 64) as seen:
        layer(x).square().sum().backward()
    assert seen.results > 20
    assert not seen.found


def test_the_check_above_sees_a_matrix_of_all_pairs():
    x = torch.randn(1, 2, 64)
    with Pairs(64) as seen:
        torch.bmm(x.mT, x)
    assert len(seen.found) == 1


def test_identity_at_initialisation():
    x = torch.randn(2, 16, 6, 5)
    assert torch.equal(PositionAttention(16)(x), x)


def test_map_is_a_distribution():
    maps = PositionAttention(16).maps(torch.randn(2, 16, 6, 5), at=(5, 4)).spatial
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 1))


def test_mmsegmentation_names_and_key_width():
    theirs, ours = PositionAttention(16), PositionAttention(16, hidden=5)
    layout = {
        "gamma.scale": torch.tensor(0.7),
        "query_project.weight": torch.randn(5, 16, 1, 1),
        "query_project.bias": torch.randn(5),
        "key_project.weight": torch.randn(5, 16, 1, 1),
        "key_project.bias": torch.randn(5),
        "value_project.weight": torch.randn(16, 16, 1, 1),
        "value_project.bias": torch.randn(16),
    }
    ours.load_reference(layout)
    assert ours.gain.item() == pytest.approx(0.7)
    assert torch.equal(ours.keys.weight, layout["key_project.weight"][:, :, 0, 0])
    with pytest.raises(InputError, match=r"wrong shape: query_project\.weight"):
        theirs.load_reference(layout)


def test_key_may_be_wider_than_the_value():
    layer = PositionAttention(4, hidden=9).double()
    torch.nn.init.ones_(layer.gain)
    x = torch.randn(1, 4, 3, 5).double()
    torch.testing.assert_close(reconstruct(layer, x, (2, 2)), layer(x)[:, :, 2, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1"),
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        PositionAttention(16, **options)


def test_pixel_outside_says_what_is_inside():
    layer = PositionAttention(8)
    with pytest.raises(InputError, match=r"at=\(6, 0\): outside of a map of 6 rows and 5 columns"):
        layer.maps(torch.randn(1, 8, 6, 5), at=(6, 0))


def test_untransposed_gathers_from_the_pixels_that_look_at_it():
    torch.manual_seed(0)
    layer = PositionAttention(16, variant="untransposed").double()
    torch.nn.init.ones_(layer.gain)
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[:, :, 3, 4], reconstruct(layer, x, (3, 4)))
    assert (layer.maps(x, at=(3, 4)).spatial.sum((2, 3)) - 1).abs().max() > 1e-3
    other = PositionAttention(16).double()
    other.load_state_dict(layer.state_dict())  # the same names
    assert not torch.allclose(other(x), layer(x))


def test_unknown_variant():
    with pytest.raises(InputError, match="variant='other': must be one of"):
        PositionAttention(16, variant="other")


@pytest.mark.parametrize("at", [(0.5, 1), 3, "ab", (1, 2, 3)])
def test_what_is_no_pixel_is_told(at):
    with pytest.raises(InputError, match=r"must be \(row, column\), two whole numbers; e\.g\. at="):
        inspect.unwrap(pixel_place)(torch.zeros(1, 8, 6, 5), at)  # past the test run's own checks
