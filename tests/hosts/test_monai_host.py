"""Insertions in networks of MONAI: trained, saved as its handlers do, loaded, predicted."""

import pytest
import torch

import pixelwise

monai = pytest.importorskip("monai")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

SCAN = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
LARGE = torch.randn(1, 1, 80, 96, generator=torch.Generator().manual_seed(1))
HOSTS = {
    "UNet": ("model.1.submodule.0", {"channels": (8, 16, 32), "strides": (2, 2)}),
    "SegResNet": ("down_layers.2", {"init_filters": 8}),
    "DynUNet": (
        "bottleneck",
        {"kernel_size": [3] * 3, "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]},
    ),
    "SwinUNETR": ("encoder3", {"feature_size": 12}),
}


def network(name):
    torch.manual_seed(0)
    _, options = HOSTS[name]
    build = getattr(monai.networks.nets, name)
    return build(spatial_dims=2, in_channels=1, out_channels=2, **options)


def trained(name):
    host = network(name)
    report = pixelwise.insert(host, {HOSTS[name][0]: "psa_s"})
    with torch.no_grad():
        for parameter in report.module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    optimizer = torch.optim.SGD(report.parameter_groups(0.01))
    loss = monai.losses.DiceCELoss(softmax=True, to_onehot_y=True)
    for _ in range(2):
        loss(host.train()(SCAN), (SCAN > 0).long()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return host


def answer(host):
    from monai.inferers import sliding_window_inference

    with torch.no_grad():
        return sliding_window_inference(LARGE, (64, 64), 2, host.eval())


@pytest.mark.parametrize("name", HOSTS)
def test_a_checkpoint_brings_its_insertions_back(name, tmp_path):
    if name == "SwinUNETR":
        pytest.importorskip("einops")
    host = trained(name)
    path = tmp_path / "net.pt"
    torch.save({"net": host.state_dict(), "epoch": 2}, path)
    fresh = network(name)
    pixelwise.insert(fresh, path)
    fresh.load_state_dict(torch.load(path, weights_only=True)["net"])
    assert torch.equal(answer(fresh), answer(host))
    assert not torch.equal(answer(fresh), answer(network(name)))
    assert pixelwise.verify(fresh, SCAN).ok


@pytest.mark.slow
def test_its_handlers_save_insertions_and_stop_without_them(tmp_path):
    pytest.importorskip("ignite")
    from monai.data import DataLoader
    from monai.engines import SupervisedTrainer
    from monai.handlers import CheckpointLoader, CheckpointSaver

    def train(net, handler):
        SupervisedTrainer(
            device=torch.device("cpu"),
            max_epochs=1,
            train_data_loader=DataLoader([{"image": s, "label": (s > 0).long()} for s in SCAN]),
            network=net,
            optimizer=torch.optim.SGD(net.parameters(), 0.01),
            loss_function=monai.losses.DiceCELoss(softmax=True, to_onehot_y=True),
            train_handlers=[handler],
        ).run()

    host = trained("SegResNet")
    train(host, CheckpointSaver(str(tmp_path), {"net": host}, save_final=True))
    (path,) = tmp_path.glob("*.pt")
    fresh = network("SegResNet")
    with pytest.raises(RuntimeError, match=r"inserted\._extra_state"):
        train(fresh, CheckpointLoader(str(path), {"net": fresh}))
    pixelwise.insert(fresh, path)
    train(fresh, CheckpointLoader(str(path), {"net": fresh}))
    assert fresh.inserted["down_layers__2"].gain.item() != 0
