"""Weights of a whole network as the plan of `insert`: what is read, and what is refused."""

import copy

import pytest
import torch
from torch import nn

import pixelwise
from pixelwise.errors import InputError
from pixelwise.insertion.restoring import restore

PICTURE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
KEY = "inserted._extra_state"


def network(width=8):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, width, 3, 2, 1), nn.ReLU()
    )


@pytest.fixture
def host():
    found = network()
    report = pixelwise.insert(found, "1=psa_s(variant=paper), 2=eca")
    with torch.no_grad():
        for parameter in report.module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    return found.eval()


def of_bytes(text):
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


@pytest.mark.parametrize(
    "shown",
    [
        lambda state: state,
        lambda state: {"epoch": 1, "a": {"b": {"c": state}}},
        lambda state: {f"module.model.{key}": value for key, value in state.items()},
    ],
    ids=["itself", "deep inside", "of wrappers"],
)
def test_places_options_and_weights_come_back(host, shown):
    fresh = network()
    report = pixelwise.insert(fresh, shown(host.state_dict()))
    assert torch.equal(fresh.eval()(PICTURE), host(PICTURE))
    assert report.places == tuple(a.place for a in host.inserted.attached())


@pytest.mark.parametrize("name", ["weights.pth", "权重.ckpt", "weights.safetensors"])
def test_files(host, name, tmp_path):
    if name.endswith(".safetensors"):
        from safetensors.torch import save_model

        save_model(host, tmp_path / name)
    else:
        torch.save(host.state_dict(), tmp_path / name)
    fresh = network()
    pixelwise.insert(fresh, str(tmp_path / name))
    assert torch.equal(fresh.eval()(PICTURE), host(PICTURE))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop(KEY), "holds no insertions; give weights"),
        (lambda s: s.update({KEY: of_bytes("{}")}), "holds no insertions; give weights"),
        (lambda s: s.update({KEY: of_bytes("[]")}), "not what an insertion writes"),
        (lambda s: s.update({KEY: torch.ones(3)}), "not what an insertion writes"),
        (lambda s: s.pop("inserted.1.gain"), "1 of 15 do not fit, such as '1/gain'; insert"),
        (lambda s: s.update({"ema": dict(s)}) or s.pop(KEY), None),
    ],
)
def test_damaged_weights(host, change, told):
    state = dict(host.state_dict())
    change(state)
    if told is None:  # one mapping inside holds them: that one counts
        pixelwise.insert(network(), state)
        return
    with pytest.raises(InputError, match=told) as caught:
        pixelwise.insert(network(), state)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda host: host, r"holds objects, .*; if you trust it"),
        (lambda host: [1], "holds no weights by name; save a state_dict"),
        (lambda host: network().state_dict(), "holds no insertions; give"),
        (
            lambda host: {"net": host.state_dict(), "ema": host.state_dict()},
            "several networks, .*; ",
        ),
        (lambda host: nn.ModuleList([host, copy.deepcopy(host)]).state_dict(), "'0.', '1.'; give"),
    ],
)
def test_other_files(host, content, told, tmp_path):
    path = tmp_path / "found.pt"
    torch.save(content(host), path)
    with pytest.raises(InputError, match=told):
        pixelwise.insert(network(), path)


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors", "absent", "empty", "torn.pt"])
def test_files_that_cannot_be_read(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.pt").write_bytes(b"PK\3\4")
    with pytest.raises(InputError, match=rf"{name}: .*; "):
        pixelwise.insert(network(), tmp_path / name)


def test_a_folder_with_several_files_is_refused(host, tmp_path):
    for name in ("one.pth", "two.pth"):
        torch.save(host.state_dict(), tmp_path / name)
    with pytest.raises(InputError, match=r"several files, one\.pth, two\.pth; give the file"):
        pixelwise.insert(network(), tmp_path)
    (tmp_path / "one.pth").rename(tmp_path / "model.pth")
    pixelwise.insert(network(), tmp_path)


def test_other_widths_are_refused(host):
    fresh = network(width=4)
    with pytest.raises(InputError, match=r"insert='eca@2': it is for 8 channels"):
        pixelwise.insert(fresh, host.state_dict())
    assert "inserted" not in fresh._modules


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_other_insertions_stop(host, strict):
    other = network()
    pixelwise.insert(other, "1=psa_s")
    with pytest.raises(InputError, match=r"insert='psa_s@1': .*; insert with the file"):
        other.load_state_dict(host.state_dict(), strict=strict)


def test_weights_of_older_versions_load(host):
    state = {key: value for key, value in host.state_dict().items() if key != KEY}
    copy.deepcopy(host).load_state_dict(state)


def test_restore_adds_what_is_missing_without_a_forward(host):
    fresh = network()
    pixelwise.insert(fresh, "1=psa_s(variant=paper)")
    fresh.forward = None
    assert [attached.place.name for attached in restore(fresh, host.state_dict())] == ["2"]
    del fresh.forward
    fresh.load_state_dict(host.state_dict())
    assert torch.equal(fresh.eval()(PICTURE), host(PICTURE))
    assert restore(fresh, host.state_dict()) == []
    assert restore(network(), network().state_dict()) == []


def test_weights_of_half_types_go_into_a_network_of_any_type(host):
    state = copy.deepcopy(host).half().state_dict()
    fresh = network()
    restore(fresh, state)
    fresh.load_state_dict(state)
    torch.testing.assert_close(fresh.eval()(PICTURE), host(PICTURE), atol=1e-2, rtol=1e-2)
    double = network().double()
    pixelwise.insert(double, state)
    assert double.inserted["1"].gain.dtype == double(PICTURE.double()).dtype == torch.float64


def test_restore_puts_layers_into_each_network(host):
    pair = nn.ModuleDict({"teacher": host, "student": copy.deepcopy(host)}).bfloat16()
    fresh = nn.ModuleDict({"teacher": network(), "student": network()}).bfloat16()
    restore(fresh, pair.state_dict())
    fresh.load_state_dict(pair.state_dict())
    for name in pair:
        assert torch.equal(fresh[name].eval()(PICTURE.bfloat16()), pair[name](PICTURE.bfloat16()))


def test_restore_leaves_a_network_without_the_places_as_it_was(host):
    fresh = nn.Sequential(nn.Conv2d(3, 8, 3))
    with pytest.raises(InputError, match=r"insert='psa_s@1': .*; take a network"):
        restore(fresh, host.state_dict())
    assert "inserted" not in fresh._modules


def test_a_network_without_memory_is_refused():
    with pytest.raises(InputError, match=r"host=Sequential: .* meta device, .*; insert when"):
        pixelwise.insert(network().to("meta"), "1=eca")


def test_a_saved_network_of_an_older_version_opens(tmp_path):
    """Its file does not say what was inserted: its config does."""
    from safetensors.torch import load_file, save_file

    model = pixelwise.create_model("fcn", backbone="test_resnet", num_classes=2)
    pixelwise.insert(model, "psa_s@4")
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[KEY]
    save_file(weights, tmp_path / "model.safetensors")
    for name, value in pixelwise.load(tmp_path).state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
