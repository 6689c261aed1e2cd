import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.strip_attention import StripAttention

VARIANTS = {
    "strip": [
        {"kernel_size": 5, "bias": True, "gate": "hard_sigmoid", "residual": True},
        {"kernel_size": 0},
    ]
}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_without_mixing_there_are_no_parameters():
    layer = StripAttention(3, kernel_size=0)
    assert not list(layer.parameters())
    x = torch.randn(2, 3, 4, 5)
    means = x.mean(3, keepdim=True) + x.mean(2, keepdim=True)
    torch.testing.assert_close(layer(x), x * means.sigmoid())


def test_residual_adds_the_input():
    layer, other = StripAttention(4), StripAttention(4, residual=True)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(1, 4, 5, 3)
    torch.testing.assert_close(other(x), layer(x) + x)


def test_a_strong_row_opens_the_gates_of_all_its_pixels():
    x = torch.zeros(1, 1, 6, 7)
    x[:, :, 2] = 50.0
    gates = StripAttention(1, kernel_size=0).maps(x).spatial[0, 0]
    assert (gates[2] > 0.999).all()
    assert (gates[[0, 1, 3, 4, 5]] < 1).all()


@pytest.mark.parametrize("taps", [1, 3, 5])
def test_a_pixel_is_seen_in_its_rows_and_columns_and_those_beside_them(taps):
    layer = StripAttention(2, kernel_size=taps).double()
    x = torch.randn(1, 2, 9, 11).double()
    other = x.clone()
    other[:, :, 4, 5] += 1.0
    seen = (layer.maps(x).spatial != layer.maps(other).spatial).any(1)[0]
    wanted, edge = torch.zeros(9, 11, dtype=torch.bool), taps // 2
    wanted[4 - edge : 5 + edge] = True
    wanted[:, 5 - edge : 6 + edge] = True
    assert torch.equal(seen, wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size=4: must be odd or 0; take one more or less"),
        ({"kernel_size": -1}, "kernel_size=-1: must be at least 0; raise kernel_size"),
        ({"gate": "tanh"}, "gate='tanh': must be one of 'sigmoid', 'hard_sigmoid'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        StripAttention(8, **options)
