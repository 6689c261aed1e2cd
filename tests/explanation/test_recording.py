import pytest
import torch
from torch import nn

from pixelwise.explanation.recording import attention_layers, evaluated, recorded
from pixelwise.insertion.insert import insert
from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.layers.registry import create


class Outer(AttentionLayer):
    """A layer whose maps call another one, as it does itself."""

    cost_exponent = 1.0

    def __init__(self):
        super().__init__(4)
        self.inner = create("eca", 4)

    def plain(self, x):
        return self.inner(x).relu_()

    def maps(self, x, at=None):
        self.inner(x)
        return Maps(spatial=x[:, :1])


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), Outer(), nn.MaxPool2d(4, ceil_mode=True), Outer())


def test_calls_hold_what_each_layer_received_and_in_which_order():
    network, image = model(), torch.randn(1, 3, 9, 14)
    with torch.no_grad(), recorded(network, (9, 14)) as calls:
        network(image)
    assert [call.name for call in calls] == ["1", "3"]  # what is inside is part of them
    torch.testing.assert_close(calls[0].inputs[0], network[0](image))
    assert [call.size for call in calls] == [(9, 14), (3, 4)]
    assert all(call.gain is None and call.covers == (9, 14) for call in calls)
    calls[0].layer.maps(*calls[0].inputs)  # which calls a layer itself
    assert len(calls) == 2


def test_a_copy_is_kept_of_what_is_written_over():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), create("pam", 8))
    with torch.no_grad(), recorded(network, (2, 2)) as calls:
        x = network[0](torch.ones(1, 3, 2, 2))
        before = x.clone()
        network[1](x)
        x.zero_()
    assert torch.equal(calls[0].inputs[0], before)


def test_nothing_is_left_on_the_network():
    network = model()
    before = {name: set(vars(module)) for name, module in network.named_modules()}
    with pytest.raises(RuntimeError), recorded(network, (8, 8)):
        network(torch.zeros(1, 2, 8, 8))
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert {name: set(vars(module)) for name, module in network.named_modules()} == before


def test_modes_come_back_as_they_were():
    network = model().train()
    network[1].eval()
    modes = [module.training for module in network.modules()]
    with evaluated(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == modes
    with pytest.raises(RuntimeError), evaluated(network):
        network(torch.zeros(1, 2, 8, 8))
    assert [module.training for module in network.modules()] == modes


def test_inserted_layers_are_named_by_their_place():
    host = nn.Sequential(nn.Conv2d(3, 8, 1), create("pam", 8))
    insert(host, {"0": "pam", "1": "eca"}, prove=False)
    whole = nn.ModuleDict({"host": host, "own": create("pam", 8)})
    assert list(attention_layers(host)) == ["1", "0", "1, inserted"]
    assert list(attention_layers(whole)) == ["host.1", "host.0", "host.1, inserted", "own"]
