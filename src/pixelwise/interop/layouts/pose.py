"""Networks for keypoints: SimpleBaseline (MIT), HRNet (MIT), and mmpose 0.x (Apache-2.0).

SimpleBaseline and HRNet have the backbone at the top level with `deconv_layers.*`, `final_layer.*`;
mmpose has `backbone.*`, `keypoint_head.*`. Inputs have ImageNet's mean and standard deviation.
SimpleBaseline's code shows blue first and subtracts red's mean from it: so does the network here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from pixelwise.interop import backbones, norms
from pixelwise.interop.backbones import Body
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.layouts.encoding import counters
from pixelwise.interop.network import (
    BGR,
    IMAGENET_MEAN,
    IMAGENET_STD,
    CheckpointLayout,
    Foreign,
    begins,
    split,
    width,
)
from pixelwise.networks.config import ModelConfig

TASK = "keypoints"
HEADS = ("deconv_layers.", "final_layer.")
BODIES = ("layer1.", "layer4.", "stage2.", "stage4.")
MMPOSE = "keypoint_head."
STYLE = (
    "bottlenecks are taken to stride in their 3x3 convolution; for weights in the style of Caffe"
    " set backbone_options={'style': 'caffe'}"
)


class PoseLayout(CheckpointLayout):
    """`final_layer.*` beside the stages of a ResNet or an HRNet, or `keypoint_head.*`."""

    name: ClassVar[str] = "SimpleBaseline / HRNet for keypoints / mmpose"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are a backbone and a head for keypoints."""
        found = list(keys)
        if begins(found, "backbone."):
            return begins(found, *(MMPOSE + head for head in HEADS))
        return begins(found, *BODIES) and begins(found, *HEADS)

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """`simple_baseline`, whose head has no transposed convolutions on HRNets."""
        missing = norms.uncounted(checkpoint.state)
        state = norms.counted(checkpoint.state, missing)
        mmpose = begins(state, MMPOSE)
        heads = split(state, MMPOSE) if mmpose else split_heads(state)
        names = split(state, "backbone.") if mmpose else {k: k for k in state if k not in heads}
        high = any(inner.startswith("stage") for inner in names.values())
        body = _hrnet(state, names) if high else backbones.resnet(state, names)
        options = _options({inner: state[key] for key, inner in heads.items()})
        told = [] if high or body.name in ("resnet18", "resnet34") else [STYLE]
        told += [counters(missing)] if missing else []
        code = "mmpose" if mmpose else "HRNet for keypoints" if high else "SimpleBaseline"
        return Foreign(
            code=code,
            network=f"{'hrnet_pose' if high else 'simple_baseline'} on {body.title}",
            config=ModelConfig(
                arch="simple_baseline",
                backbone=body.name,
                num_classes=options.pop("outputs"),
                in_channels=body.in_channels,
                task=TASK,
                task_options={"target": "simple_baseline", "decoder": "argmax"},
                backbone_options=body.options,
                options=options,
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
                bands=BGR if code == "SimpleBaseline" else None,
            ),
            backbone=body.names,
            decoder=heads,
            state=state,
            differences=tuple(told),
        )


def split_heads(keys: Iterable[str]) -> dict[str, str]:
    """Keys of the head, which has no prefix, under themselves."""
    return {key: key for key in keys if key.startswith(HEADS)}


def _hrnet(state: Mapping[str, Tensor], names: Mapping[str, str]) -> Body:
    body = backbones.hrnet(state, dict(names))
    options: dict[str, Any] = {**body.options, "branches": "finest"}
    return Body(body.name, body.title, options, body.names, body.in_channels)


def _options(head: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of the decoder, and the number of its outputs."""
    steps = [key for key in head if key.startswith(HEADS[0]) and head[key].ndim == 4]
    steps.sort(key=lambda key: int(key.split(".")[1]))
    return {
        "outputs": width(head, "final_layer.weight", "final_layer.bias"),
        "widths": tuple(head[key].shape[1] for key in steps),
        "kernels": tuple(head[key].shape[2] for key in steps),
        "bias": any(key.replace(".weight", ".bias") in head for key in steps),
        "kernel_size": width(head, "final_layer.weight", axis=2),
    }
