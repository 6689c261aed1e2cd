import pytest
import torch

from pixelwise.layers.strip_pooling import StripGate, StripPooling

ONE_VALUE = {"strip_pooling": [(1, 17)]}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_a_pixel_is_seen_in_its_rows_and_columns_and_those_beside_them():
    layer = StripPooling(8).double().eval()
    x = torch.randn(1, 8, 7, 9).double()
    other = x.clone()
    other[:, :, 2, 5] += 1.0
    seen = (layer.maps(x).spatial != layer.maps(other).spatial).any(1)[0]
    wanted = torch.zeros(7, 9, dtype=torch.bool)
    wanted[1:4] = True
    wanted[:, 4:7] = True
    assert torch.equal(seen, wanted)


def test_one_image_with_a_single_row_is_refused_in_training_alone():
    layer, x = StripPooling(8), torch.randn(1, 8, 1, 6)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(x)
    assert layer.eval()(x).shape == x.shape
    assert layer.train()(x.repeat(2, 1, 1, 1)).shape == (2, 8, 1, 6)


def test_gate_may_have_other_channels_than_its_input():
    assert StripGate(8, 12)(torch.randn(2, 8, 4, 5)).shape == (2, 12, 4, 5)
