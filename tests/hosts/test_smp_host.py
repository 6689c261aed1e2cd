"""Insertions in networks of segmentation_models_pytorch: trained, saved to a folder, loaded."""

import pytest
import segmentation_models_pytorch as smp
import torch

import pixelwise

PICTURE = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(0)
    return smp.Unet("resnet18", encoder_weights=None, classes=2, decoder_channels=(32, 16, 8, 8, 8))


def answer(host):
    with torch.no_grad():
        return host.eval()(PICTURE)


@pytest.fixture
def trained():
    host = network()
    report = pixelwise.insert(host, "encoder.layer3=psa_s, decoder.blocks.0=eca")
    with torch.no_grad():
        for parameter in report.module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    optimizer = torch.optim.SGD(report.parameter_groups(0.01))
    for _ in range(2):
        host.train()(PICTURE).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return host


def test_a_folder_brings_its_insertions_back(trained, tmp_path):
    trained.save_pretrained(tmp_path)
    loaded = smp.from_pretrained(tmp_path, strict=False)
    report = pixelwise.insert(loaded, tmp_path)
    assert not loaded.training
    assert torch.equal(answer(loaded), answer(trained))
    assert report.verify(PICTURE).ok
    assert all(state.gain for state in report.verify(PICTURE).states)


def test_what_was_lost_is_seen(trained, tmp_path):
    trained.save_pretrained(tmp_path)
    loaded = smp.from_pretrained(tmp_path, strict=False)
    assert not pixelwise.verify(loaded, PICTURE).ok


def test_without_insert_smp_stops(trained, tmp_path):
    trained.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match=r"inserted\._extra_state"):
        smp.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "wrap", [torch.compile, torch.nn.DataParallel], ids=["compiled", "parallel"]
)
def test_weights_of_a_wrapped_network_bring_them_back(trained, wrap):
    """Its keys begin with `_orig_mod.` or `module.`."""
    weights = wrap(trained).state_dict()
    fresh = network()
    fresh.load_state_dict(trained.state_dict(), strict=False)
    pixelwise.insert(fresh, {"epoch": 3, "model": dict(weights)})
    assert torch.equal(answer(fresh), answer(trained))
