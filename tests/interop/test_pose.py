"""Checkpoints of networks for keypoints: recognised by their keys, and loaded whole."""

import keys
import pytest
import torch
from files import numbers, write

import pixelwise
from pixelwise.errors import InputError
from pixelwise.interop.convert import import_checkpoint

HIGH = keys.pose_hrnet()
BODY = {key: shape for key, shape in HIGH.items() if not key.startswith("final_layer.")}
NETWORKS = {
    "pose_resnet_50_256x192": (keys.pose_resnet(), (2, 1, 0), 3),
    "pose_hrnet_w32_256x192": (HIGH, None, 0),
    "hrnet_w32_coco_256x192": (keys.mmpose(BODY, keys.pose_head(8, steps=0)), None, 0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_comes_over(name, tmp_path):
    shapes, bands, steps = NETWORKS[name]
    state = numbers(shapes)
    model = pixelwise.load(write(tmp_path / f"{name}.pth", state))
    config = model.config
    assert (config.arch, config.task, config.bands) == ("simple_baseline", "keypoints", bands)
    assert (config.num_classes, len(config.options["widths"])) == (4, steps)
    assert sum(value.sum() for value in state.values()) == pytest.approx(
        float(sum(value.sum() for value in model.state_dict().values())), rel=1e-5
    )
    weight = next(value for key, value in state.items() if key.endswith("final_layer.weight"))
    assert torch.equal(model.decoder.classify.weight, weight)
    assert model(torch.randn(1, 3, 64, 48)).shape == (1, 4, 16, 12)


def test_options_are_read_off_the_shapes(tmp_path):
    shapes = keys.pose_resnet()
    shapes |= {"deconv_layers.0.weight": (256, 8, 3, 3), "deconv_layers.3.weight": (8, 8, 2, 2)}
    shapes |= {f"deconv_layers.{3 * i}.bias": (8,) for i in range(3)}
    shapes["final_layer.weight"] = (4, 8, 3, 3)
    found = import_checkpoint(write(tmp_path / "a.pth", numbers(shapes)))
    assert found.foreign.config.options == {
        "widths": (8, 8, 8), "kernels": (3, 2, 4), "bias": True, "kernel_size": 3,
    }  # fmt: skip
    assert "backbone_options={'style': 'caffe'}" in " ".join(found.foreign.differences)


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path):
    shapes = keys.pose_resnet()
    del shapes["deconv_layers.4.running_var"]
    with pytest.raises(
        InputError, match=r"1 missing in the file: decoder\.enlarge\.4\.running_var"
    ):
        pixelwise.load(write(tmp_path / "a.pth", numbers(shapes)))
