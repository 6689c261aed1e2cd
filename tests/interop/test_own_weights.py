"""A checkpoint into a network that exists: all tensors or none, and nothing silent."""

import copy

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pixelwise.errors import InputError
from pixelwise.interop.own_weights import load_weights


class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, classes, 1))


def trained(classes=2):
    torch.manual_seed(1)
    return Net(classes)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


def prefixed(start, state):
    return {start + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    ("hold", "told"),
    [
        (lambda state: state, ()),
        (lambda state: {"state_dict": prefixed("module.", state), "epoch": 3}, ()),
        (lambda state: {"model": state, "optimizer": {"state": {}}}, ()),
        (lambda state: {"model_ema": state}, ()),
        (lambda state: {"model": state, "model_ema": state}, ("'model_ema': not taken",)),
        (lambda state: prefixed("my_wrapper.inner.", state), ("taken off",)),
        (lambda state: prefixed("module._orig_mod.", state), ()),
        (
            lambda state: {**state, "aux.weight": torch.ones(2, 2)},
            ("left out: 1 tensors of the file (aux.weight)",),
        ),
        (
            lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
            ("1 counts of batches",),
        ),
    ],
)
def test_weights_wherever_they_lie(tmp_path, hold, told):
    wanted = trained().state_dict()
    torch.save(hold(wanted), tmp_path / "w.pth")
    host = Net()
    notes = load_weights(host, tmp_path / "w.pth")
    assert same(wanted, host.state_dict())
    for part in told:
        assert any(part in note for note in notes), notes
    assert all("\n" not in note for note in notes)


def test_safetensors_hold_tied_weights_once(tmp_path):
    def tied():
        net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        net[1].weight = net[0].weight
        return net

    wanted = tied()
    state = {k: v for k, v in wanted.state_dict().items() if k != "1.weight"}
    save_file(state, tmp_path / "w.safetensors")
    host = tied()
    load_weights(host, tmp_path / "w.safetensors")
    assert same(wanted.state_dict(), host.state_dict())


def test_weights_of_the_inner_network(tmp_path):
    torch.save(trained().model.state_dict(), tmp_path / "w.pth")
    host = Net()
    notes = load_weights(host, tmp_path / "w.pth")
    assert same(trained().state_dict(), host.state_dict())
    assert any("'model.' is put before" in note for note in notes)


def test_what_does_not_fit_changes_nothing(tmp_path):
    torch.save({**trained(classes=5).state_dict(), "aux.bias": torch.ones(1)}, tmp_path / "w.pth")
    host = Net()
    del host.model[1]  # its third module is the second now
    before = copy.deepcopy(host.state_dict())
    with pytest.raises(InputError) as caught:
        load_weights(host, tmp_path / "w.pth")
    message = str(caught.value)
    assert "2 of 4 tensors of Net fit; " in message
    assert "of another shape (model.1.weight (4,) for (2, 4, 1, 1), model.1.bias" in message
    assert "in the file alone" in message
    assert "\n" not in message
    assert same(before, host.state_dict())


def test_missing_tensors_are_counted(tmp_path):
    state = trained().state_dict()
    torch.save({k: v for k, v in state.items() if "model.2" not in k}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"2 missing in the file \(model.2.weight, model.2.bias\)"):
        load_weights(Net(), tmp_path / "w.pth")


def test_nothing_pickled_runs(tmp_path):
    torch.save(trained(), tmp_path / "whole.pth")
    with pytest.raises(InputError, match="could run code"):
        load_weights(Net(), tmp_path / "whole.pth")


def test_weights_that_are_no_numbers_are_told(tmp_path):
    state = trained().state_dict()
    state["model.0.bias"][0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    assert any("1 tensors (model.0.bias)" in n for n in load_weights(Net(), tmp_path / "w.pth"))
