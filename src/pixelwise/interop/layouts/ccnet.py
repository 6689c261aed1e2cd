"""speedinghzl/CCNet (MIT): a ResNet at the top level, `head.conva`, `head.cca`, `dsn` and others.

Its norms are InPlaceABN. Inputs are blue, green, red with a mean and no standard deviation, in
values from 0 to 255; `align_corners=True`.
"""

from collections.abc import Iterable
from typing import ClassVar

from pixelwise.interop import backbones, norms
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.network import BGR, CheckpointLayout, Foreign, begins, split, width
from pixelwise.layers.shared.parts import INPLACE_ABN_EPS
from pixelwise.networks.config import ModelConfig

MEAN = (104.00698793, 116.66876762, 122.67891434)


class CCNetLayout(CheckpointLayout):
    """`conv1`, ..., `layer4.*`, `head.cca.*`."""

    name: ClassVar[str] = "CCNet"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there are stages at the top level and a criss-cross head."""
        found = list(keys)
        return begins(found, "layer1.") and begins(found, "head.cca.", "head.conva.", "head.convb.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """The network."""
        bodies = [k for k in checkpoint.state if not k.startswith(("head.", "dsn."))]
        uncounted = norms.uncounted({key: checkpoint.state[key] for key in bodies})
        state = norms.plain(checkpoint.state, uncounted)
        inner = {key: key for key in state if not key.startswith(("head.", "dsn."))}
        body = backbones.resnet(state, backbones.stem_names(inner))
        heads = split(state, "head.") | {key: key for key in split(state, "dsn.")}
        leaky = len(norms.uncounted({key: state[key] for key in heads}))
        options = {
            "width": width(state, "head.conva.0.weight", "head.conva.1.weight"),
            "hidden": width(state, "head.cca.query_conv.weight", "head.cca.query_conv.bias"),
            "joined": width(state, "head.bottleneck.0.weight", "head.bottleneck.1.weight"),
            "recurrence": 2,
            "activation": "leaky_relu" if leaky else "relu",
            "auxiliary": begins(state, "dsn."),
        }
        if options["auxiliary"]:
            options["auxiliary_width"] = width(state, "dsn.0.weight", "dsn.1.weight")
            options["auxiliary_bias"] = "dsn.0.bias" in state
        told = ["the attention runs twice, as published"]
        if uncounted or leaky:
            told.append(
                f"InPlaceABN: {len(uncounted) + leaky} norms become batch norms with"
                f" |w| + {INPLACE_ABN_EPS:g}, {leaky} of them with a leaky ReLU behind"
            )
        told.append("its first pooling rounds sizes up, timm's down: kept")
        return Foreign(
            code="CCNet",
            network=f"ccnet on {body.title}",
            config=ModelConfig(
                arch="ccnet",
                backbone=body.name,
                num_classes=width(state, "head.bottleneck.3.weight", "head.bottleneck.3.bias"),
                in_channels=body.in_channels,
                output_stride=8,
                backbone_options={**body.options, "dilation": "full", "pooling": "ceil"},
                options=options,
                align_corners=True,
                mean=MEAN,
                std=(1.0, 1.0, 1.0),
                scale=1.0,
                bands=BGR,
            ),
            backbone=body.names,
            decoder=heads,
            state=state,
            differences=tuple(told),
        )
