"""Networks of other libraries are copied, fused and saved with the layers that were inserted."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pixelwise import insert, verify
from pixelwise.insertion.proof import tensors

PICTURE = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def fold_norms(network):
    for block in network.modules():
        for norm in ("bn1", "bn2", "bn3"):
            convolution = norm.replace("bn", "conv")
            if hasattr(block, norm) and hasattr(block, convolution):
                pair = getattr(block, convolution), getattr(block, norm)
                setattr(block, convolution, fuse_conv_bn_eval(*pair))
                setattr(block, norm, nn.Identity())


def of_timm():
    timm = pytest.importorskip("timm")
    return timm.create_model("resnet18", zero_init_last=False), "layer3.*.bn2=eca", fold_norms


def of_torchvision():
    models = pytest.importorskip("torchvision.models")
    return models.resnet18(), "layer3.*.bn2=eca", fold_norms


def of_ultralytics(monkeypatch, folder):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(folder))
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    ultralytics = pytest.importorskip("ultralytics")
    network = ultralytics.YOLO("yolo11n-seg.yaml").model
    return network, "model.4.cv2.bn=eca, model.2.cv1.bn=eca", lambda n: n.fuse(verbose=False)


def outputs(network):
    with torch.no_grad():
        return [t for t in tensors(network(PICTURE)) if t.is_floating_point()]


def difference(one, other):
    """The largest difference, each as a part of its output's range."""
    return max(
        float((a - b).abs().max() / (a.max() - a.min())) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("maker", [of_timm, of_torchvision, of_ultralytics])
def test_fused_and_saved_networks_keep_the_effect(maker, monkeypatch, tmp_path):
    torch.manual_seed(0)
    given = (monkeypatch, tmp_path) if maker is of_ultralytics else ()
    network, plan, fuse = maker(*given)
    bare = outputs(network.eval())
    report = insert(network, plan)
    with torch.no_grad():
        for one in report.attached():
            one.gain.fill_(1.0)
    expected = outputs(network)
    assert difference(expected, bare) > 0.01
    fused = copy.deepcopy(network)
    fuse(fused)
    file = io.BytesIO()
    torch.save(fused, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for twin in (fused, loaded, copy.deepcopy(loaded)):
        assert difference(expected, outputs(twin)) < 1e-4
    assert verify(loaded, PICTURE).ok
