"""Small networks of many makers, to insert layers into. All are built offline, from seed 0."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

WIDTHS = (16, 24, 32, 48)
"""Of the stages of networks whose widths can be chosen."""


class Place(NamedTuple):
    """A pattern of modules after which there are features to weigh."""

    pattern: str
    channels: int
    kind: Literal["first", "last", "tokens"] = "first"
    """Where the channels are, or whether the features are a sequence of tokens."""
    grid: tuple[int, int] | None = None
    """Rows and columns of the tokens, after `prefix` others."""
    prefix: int = 0


class Host(NamedTuple):
    """A network and where layers can stand in it."""

    build: Callable[[], nn.Module]
    places: tuple[Place, ...]
    size: tuple[int, int] = (64, 96)
    """Of the pictures to run it on."""

    def make(self) -> nn.Module:
        """The network, always with the same weights.

        What starts at zero, such as the last norms of residual blocks, is moved: else much of the
        network would not show in its output.
        """
        torch.manual_seed(0)
        network = self.build()
        with torch.no_grad():
            for parameter in network.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.1)
        return network


def image(host: Host, batch: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Pictures for a host."""
    pixels = torch.randn(batch, 3, *host.size, generator=torch.Generator().manual_seed(batch))
    return pixels.to(dtype)


def timm(name: str, **options: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from timm import create_model

        return create_model(name, **({"num_classes": 5} | options))

    return build


def smp(name: str, encoder: str = "tu-resnet18", **options: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import segmentation_models_pytorch

        network = getattr(segmentation_models_pytorch, name)
        if encoder.startswith("tu-"):
            return network(encoder, encoder_weights=None, classes=5, channels=WIDTHS, **options)
        return network(encoder, encoder_weights=None, classes=5, **options)

    return build


def transformers(network: str, config: str, **options: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        return getattr(transformers, network)(getattr(transformers, config)(**options))

    return build


def torchvision_fcn() -> nn.Module:
    from torchvision.models import resnet
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    body = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], width_per_group=8)
    backbone = IntermediateLayerGetter(body, {"layer2": "aux", "layer3": "out"})
    return FCN(backbone, FCNHead(1024, 5), FCNHead(512, 5))


def torchvision_mobilenet(outputs: dict[str, str]) -> nn.Module:
    from torchvision.models import mobilenet_v3_small
    from torchvision.models._utils import IntermediateLayerGetter

    features = mobilenet_v3_small(weights=None, width_mult=0.5).features
    return IntermediateLayerGetter(features, outputs)


def torchvision_deeplabv3() -> nn.Module:
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

    return DeepLabV3(torchvision_mobilenet({"11": "out"}), DeepLabHead(48, 5, atrous_rates=(2,)))


def torchvision_lraspp() -> nn.Module:
    from torchvision.models.segmentation.lraspp import LRASPP

    return LRASPP(torchvision_mobilenet({"3": "low", "11": "high"}), 16, 48, 5, 32)


def torchvision_swin() -> nn.Module:
    from torchvision.models import SwinTransformer

    return SwinTransformer([2, 2], 24, [1, 1], [1, 2], [4, 4], num_classes=5)


def upernet() -> nn.Module:
    from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation

    stages = [f"stage{number}" for number in (1, 2, 3, 4)]
    body = ConvNextConfig(hidden_sizes=list(WIDTHS), depths=[1, 1, 1, 1], out_features=stages)
    config = UperNetConfig(
        backbone_config=body,
        hidden_size=16,
        auxiliary_in_channels=32,
        auxiliary_channels=16,
        num_labels=5,
    )
    return UperNetForSemanticSegmentation(config)


def segmenter() -> nn.Module:
    from pixelwise import create_model

    return create_model(
        "fcn", "resnet18", num_classes=3, backbone_options={"channels": (16, 24, 32, 64)}
    )


def sequential() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=4, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.2),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(24, 3, 1),
    )


class ChannelsLast(nn.Module):
    """A linear layer over the channels of (b, h, w, c), and what it gets added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(self.norm(x))


class Weighed(NamedTuple):
    features: Tensor
    weights: Tensor


class Weighing(nn.Module):
    """Features, and beside them the weights they were multiplied by."""

    def __init__(self, channels: int, *, named: bool) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        self.named = named

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.score(x).sigmoid()
        return Weighed(x * weights, weights) if self.named else (x * weights, weights)


class Own(nn.Module):
    """A network as people write them: other layouts, tuples, and a block that is run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 4, stride=4)
        self.last = ChannelsLast(24)
        self.pair = Weighing(24, named=False)
        self.named = Weighing(24, named=True)
        self.twice = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1), nn.Dropout(0.1), nn.ReLU())
        self.head = nn.Conv2d(24, 3, 1)

    def forward(self, picture: Tensor) -> dict[str, Tensor | list[Tensor]]:
        x = self.stem(picture)
        x = self.last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x, first = self.pair(x)
        x, second = self.named(x)
        x = self.twice(self.twice(x))
        return {"logits": self.head(x), "weights": [first, second]}


SWIN = {"embed_dim": 24, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
VIT = {"img_size": (64, 96), "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
HOSTS = {
    "timm resnet18": Host(
        timm("resnet18", channels=WIDTHS), (Place("layer3.*.bn2", 32), Place("layer4", 48))
    ),
    "timm resnet50": Host(
        timm("resnet50", layers=(1, 1, 1, 1), channels=WIDTHS, drop_path_rate=0.2),
        (Place("layer2.*.bn2", 24), Place("layer3", 128)),
    ),
    "timm features": Host(
        timm("resnet18", layers=(1, 1, 1, 1), channels=WIDTHS, features_only=True),
        (Place("layer2", 24), Place("layer3.0.conv2", 32)),
    ),
    "timm convnext": Host(
        timm("convnext_atto", depths=(1, 1, 1, 1), dims=WIDTHS),
        (Place("stages.1", 24), Place("stages.2.blocks.*", 32)),
    ),
    "timm efficientnet": Host(
        timm("test_efficientnet", drop_rate=0.2),
        (Place("blocks.2.0.bn2", 32), Place("blocks.3", 48)),
    ),
    "timm mobilenet": Host(
        timm("mobilenetv3_small_050"), (Place("blocks.1", 16), Place("blocks.2.0.bn2", 64))
    ),
    "timm hrnet": Host(
        timm("hrnet_w18_small", features_only=True),
        (Place("stage3.0.branches.1.*.bn2", 32), Place("stage2.0.branches.0", 16)),
        (32, 64),
    ),
    "timm swin": Host(
        timm("swin_tiny_patch4_window7_224", img_size=(64, 32), **SWIN),
        (Place("layers.0.blocks.0", 24, "last"), Place("layers.1", 48, "last")),
        (64, 32),
    ),
    "timm swinv2": Host(
        timm("swinv2_tiny_window8_256", img_size=(64, 32), **SWIN),
        (Place("layers.1.blocks.*", 48, "last"),),
        (64, 32),
    ),
    "timm maxvit": Host(
        timm("test_maxvit", img_size=64),
        (Place("stages.1.blocks.*.attn_grid", 64, "last"), Place("stages.2", 96)),
        (64, 64),
    ),
    "timm vit": Host(
        timm("vit_tiny_patch16_224", **VIT, proj_drop_rate=0.1),
        (
            Place("blocks.0", 32, "tokens", (4, 6), 1),
            Place("blocks.0.attn", 32, "tokens", (4, 6), 1),
        ),
    ),
    "timm vit, registers": Host(
        timm("vit_tiny_patch16_224", **VIT, reg_tokens=4, global_pool="avg"),
        (Place("blocks.*", 32, "tokens", (4, 6), 5),),
    ),
    "timm regnet": Host(timm("regnetx_002"), (Place("s2", 56), Place("s3.b1", 152)), (32, 64)),
    "timm densenet": Host(
        timm("densenet121", block_config=(2, 2), growth_rate=8),
        (Place("features.denseblock1", 32), Place("features.transition1", 16)),
    ),
    "torchvision fcn": Host(
        torchvision_fcn,
        (Place("backbone.layer2.*.bn2", 16), Place("backbone.layer1", 256)),
        (32, 64),
    ),
    "torchvision deeplabv3": Host(
        torchvision_deeplabv3, (Place("backbone.8", 24), Place("classifier.0", 256)), (64, 64)
    ),
    "torchvision lraspp": Host(
        torchvision_lraspp, (Place("backbone.3", 16), Place("backbone.11", 48))
    ),
    "torchvision swin": Host(
        torchvision_swin,
        (Place("features.1.*", 24, "last"), Place("features.3", 48, "last"), Place("permute", 48)),
        (32, 64),
    ),
    "smp unet": Host(
        smp("Unet", "resnet18", decoder_channels=(32, 16, 16, 16, 16)),
        (Place("encoder.layer2", 128), Place("decoder.blocks.1", 16)),
        (32, 32),
    ),
    "smp fpn": Host(
        smp("FPN", decoder_pyramid_channels=32, decoder_segmentation_channels=32),
        (Place("encoder.model.layer3", 32), Place("decoder.p4", 32)),
    ),
    "smp deeplabv3plus": Host(
        smp("DeepLabV3Plus", decoder_channels=16),
        (Place("encoder.model.layer3", 32), Place("decoder.aspp", 16)),
    ),
    "hf segformer": Host(
        transformers(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            depths=[1, 1, 1, 1],
            hidden_sizes=list(WIDTHS),
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=16,
            num_labels=5,
        ),
        (
            Place("segformer.stages.3", 48),
            Place("segformer.stages.2.blocks.0", 32, "tokens", (4, 6)),
        ),
    ),
    "hf swin": Host(
        transformers(
            "SwinModel",
            "SwinConfig",
            image_size=64,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in SWIN.items()},
        ),
        (
            Place("encoder.layers.0.blocks.0", 24, "tokens", (16, 16)),
            Place("encoder.layers.1.blocks.0.mlp", 48, "tokens", (8, 8)),
        ),
        (64, 64),
    ),
    "hf dinov2": Host(
        transformers(
            "Dinov2Model",
            "Dinov2Config",
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=64,
            patch_size=16,
        ),
        (
            Place("encoder.layer.0", 32, "tokens", (4, 4), 1),
            Place("encoder.layer.1.mlp", 32, "tokens", (4, 4), 1),
        ),
        (64, 64),
    ),
    "hf upernet": Host(
        upernet,
        (
            Place("backbone.encoder.stages.2.layers.0.layernorm", 32, "last"),
            Place("backbone.encoder.stages.1", 24),
            Place("decode_head.fpn_convs.2", 16),
        ),
    ),
    "segmenter": Host(segmenter, (Place("backbone.body.layer3", 32), Place("decoder.steps", 16))),
    "sequential": Host(sequential, (Place("0", 16), Place("5", 24))),
    "own": Host(
        Own,
        (Place("last", 24, "last"), Place("pair", 24), Place("named", 24), Place("twice", 24)),
    ),
}
"""By name, the maker first."""
