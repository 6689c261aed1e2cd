"""Every attention layer trains in a network of every task, on the task's own data and loss."""

import pytest
import torch

from pixelwise.layers.base import FusionLayer
from pixelwise.layers.registry import available
from pixelwise.tasks.registry import available as tasks
from pixelwise.train.plan import make_plan
from pixelwise.train.settings import TrainSettings

BRINGS = {"gate": "attention_unet", "gau": "pan", "ocr": "ocrnet"}
"""Networks of the layers with two inputs, which no backbone gives."""
STRIDES = ("spd",)
"""Layers that stand in for convolutions that stride."""


def place(layer):
    """Settings that put a layer into a network."""
    if layer in STRIDES:
        return {"model": "fcn", "convolution": f"{layer}@2", "attention": "none"}
    if issubclass(available()[layer], FusionLayer):
        return {"model": BRINGS[layer], "attention": "none"}
    return {"model": "fcn", "attention": f"{layer}@2"}


@pytest.mark.parametrize("task", tasks())
def test_layers_learn_task(task, drawn, tmp_path):
    for layer in available():
        settings = TrainSettings(
            data=drawn[task],
            task=task,
            backbone="test_resnet",
            output_stride=32,
            crop="64",
            device="cpu",
            check_data=False,
            runs=str(tmp_path),
            **place(layer),
        )
        plan = make_plan(settings, lambda line: None, lambda done, of: None)
        image, target = (torch.stack([plan.stream[i][part] for i in (0, 1)]) for part in (0, 1))
        loss = plan.loss(plan.model(image), target)
        loss.backward()
        assert loss.isfinite(), layer
        parts = [p for p in plan.model.modules() if getattr(p, "key", "") == layer]
        assert parts or layer in STRIDES, layer  # these have no weights and become a shuffle
        weights = [weight for part in parts for weight in part.parameters()]
        for weight in filter(lambda weight: weight.requires_grad, weights):
            assert weight.grad is not None, layer
            assert weight.grad.isfinite().all(), layer
