"""Insertions in Lightning modules: trained, saved by its Trainer, loaded, resumed, averaged."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import pixelwise
from pixelwise.errors import InputError
from pixelwise.hosts.lightning import KeepsInsertions

lightning = pytest.importorskip("lightning")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

PICTURE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Bare(lightning.LightningModule):
    """As its users write it; built again from `save_hyperparameters`."""

    def __init__(self, classes=2, end="2"):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add_module("0", nn.Conv2d(3, 8, 3, 2, padding=1))
        self.net.add_module("1", nn.BatchNorm2d(8))
        self.net.add_module(end, nn.Conv2d(8, classes, 1))

    def training_step(self, batch, index):
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Kept(KeepsInsertions, Bare):
    pass


def inserted(kind, place="1"):
    torch.manual_seed(0)
    module = kind()
    report = pixelwise.insert(module.net, {place: "psa_s"})
    with torch.no_grad():
        for parameter in report.module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    return module


def fit(module, folder, epochs=1, callbacks=(), checkpoint=None):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )
    trainer.fit(module, DataLoader(TensorDataset(PICTURE), 1), ckpt_path=checkpoint)
    path = folder / f"{epochs}.ckpt"
    trainer.save_checkpoint(path)
    return path


def answer(module):
    with torch.no_grad():
        return module.eval().net(PICTURE)


@pytest.fixture
def trained(tmp_path):
    module = inserted(Kept)
    return module, fit(module, tmp_path)


@pytest.mark.parametrize("strict", [True, False])
def test_a_checkpoint_brings_its_insertions_back(trained, strict):
    module, path = trained
    loaded = Kept.load_from_checkpoint(path, strict=strict)
    assert torch.equal(answer(loaded), answer(module))
    assert pixelwise.verify(loaded.net, PICTURE).states[0].gain != 0
    assert pixelwise.verify(loaded.net, PICTURE).ok


def test_training_goes_on_in_a_fresh_module(trained, tmp_path):
    module, path = trained
    fresh = Kept()
    fit(fresh, tmp_path, epochs=2, checkpoint=path)
    fit(module, tmp_path, epochs=2, checkpoint=path)
    torch.testing.assert_close(answer(fresh), answer(module))
    assert fresh.net.inserted["1"].gain.item() != 0


def test_a_module_that_inserts_by_itself_needs_no_base_class(tmp_path):
    class Own(Bare):
        def __init__(self):
            super().__init__()
            pixelwise.insert(self.net, "1=psa_s")

    module = Own()
    torch.nn.init.ones_(module.net.inserted["1"].gain)
    loaded = Own.load_from_checkpoint(fit(module, tmp_path))
    assert torch.equal(answer(loaded), answer(module))


def test_without_the_base_class_loading_stops(tmp_path):
    path = fit(inserted(Bare), tmp_path)
    with pytest.raises(RuntimeError, match=r"net\.inserted\._extra_state"):
        Bare.load_from_checkpoint(path)


def test_the_network_alone_takes_insertions_from_a_checkpoint(trained):
    module, path = trained
    network = Bare().net
    pixelwise.insert(network, path)
    weights = torch.load(path, weights_only=True)["state_dict"]
    network.load_state_dict({name.removeprefix("net."): v for name, v in weights.items()})
    torch.testing.assert_close(network.eval()(PICTURE), answer(module))


def test_other_insertions_than_those_of_the_checkpoint_stop(trained):
    _, path = trained
    other = inserted(Bare, place="0")
    weights = torch.load(path, weights_only=True)["state_dict"]
    with pytest.raises(InputError, match=r"insert='psa_s@1': .*; insert with"):
        other.load_state_dict(weights, strict=False)


def test_a_module_without_the_place_stops_and_stays_as_it_was(trained):
    _, path = trained
    with pytest.raises(InputError, match=r"insert='psa_s@1': .*; take a network"):
        pixelwise.insert(nn.Sequential(nn.Conv2d(3, 8, 1)), path)


@pytest.mark.slow
def test_averaged_weights_keep_their_insertions(tmp_path):
    from lightning.pytorch.callbacks import EMAWeightAveraging

    module = inserted(Kept)
    path = fit(module, tmp_path, 2, [EMAWeightAveraging(decay=0.5)])
    loaded = Kept.load_from_checkpoint(path)
    averaged = torch.load(path, weights_only=True)["state_dict"]["net.inserted.1.gain"]
    assert torch.equal(loaded.net.inserted["1"].gain, averaged)
    resumed = Kept()
    pixelwise.insert(resumed, torch.load(path, weights_only=True)["state_dict"])
    fit(resumed, tmp_path, 3, [EMAWeightAveraging(decay=0.5)], path)
    assert resumed.net.inserted["1"].gain.item() != 0
