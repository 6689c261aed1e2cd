"""Small networks of many makers, to insert layers into. All are built offline, from seed 0."""

import warnings
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import pytest
import torch
from own_networks import Compact, Own, Recomputed, Siamese, sequential
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

        What starts at zero or nearly, such as the last norms and the scales of residual blocks, is
        moved, and the statistics of norms are those of pictures: else much of the network would
        not show in its output.
        """
        torch.manual_seed(0)
        network = self.build()
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.momentum]
        momenta = [norm.momentum for norm in norms]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for parameter in network.parameters():
                if parameter.abs().max() < 1e-3:
                    parameter.normal_(std=0.1)
            for norm in norms:
                norm.momentum = 0.97
            network.train()(image(self, 4))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
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


def checkpointing() -> nn.Module:
    network = timm("resnet18", channels=WIDTHS)()
    network.set_grad_checkpointing()
    return network


def torchvision(name: str, **options: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision import models

        return getattr(models, name)(weights=None, **options)

    return build


def torchvision_quantizable() -> nn.Module:
    from torchvision.models.quantization import resnet18

    return resnet18(weights=None, num_classes=5)


def torchvision_pyramid() -> nn.Module:
    """What the detectors of torchvision look at a picture with."""
    from torchvision.models import resnet18
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    layers = {"layer2": "0", "layer3": "1"}
    return BackboneWithFPN(resnet18(weights=None), layers, [128, 256], 16)


def torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=5)


def monai(name: str, **options: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        nets = pytest.importorskip("monai.networks.nets")
        return getattr(nets, name)(spatial_dims=2, in_channels=3, out_channels=5, **options)

    return build


def ultralytics(name: str) -> Callable[[], nn.Module]:
    """A network of an AGPL package, where it is installed; only its public names are used."""

    def build() -> nn.Module:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setenv("YOLO_CONFIG_DIR", folder)
            patch.setenv("YOLO_OFFLINE", "true")
            package = pytest.importorskip("ultralytics")
            return package.YOLO(f"{name}.yaml").model

    return build


def mask2former() -> nn.Module:
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        SwinConfig,
    )

    stages = [f"stage{number}" for number in (1, 2, 3, 4)]
    body = SwinConfig(
        image_size=64,
        embed_dim=24,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=4,
        out_features=stages,
    )
    widths = ("hidden_dim", "feature_size", "mask_feature_size", "encoder_feedforward_dim")
    config = Mask2FormerConfig(
        backbone_config=body,
        **dict.fromkeys((*widths, "dim_feedforward"), 32),
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=5,
    )
    return Mask2FormerForUniversalSegmentation(config)


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


def segmenter(name: str, backbone: str, **options: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from pixelwise import create_model

        return create_model(name, backbone, num_classes=3, backbone_options=options)

    return build


SWIN = {"embed_dim": 24, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
VIT = {"img_size": (64, 96), "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
TOKENS = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
YOLO = (
    ("yolov8n", "model.2.m.0.cv2.bn", 16, "model.15", 64),
    ("yolov8n-seg", "model.4.m.*.cv2.bn", 32, "model.15", 64),
    ("yolov8n-pose", "model.4.cv2.bn", 64, "model.6", 128),
    ("yolo11n", "model.16.cv2.bn", 64, "model.9", 256),
    ("yolo11n-seg", "model.4.cv2.bn", 128, "model.16", 64),
    ("yolo11n-pose", "model.2.cv2.bn", 64, "model.10", 256),
    ("yolo12n", "model.14.cv2.bn", 64, "model.5", 128),
    ("yolo12n-seg", "model.4.cv2.bn", 128, "model.6", 128),
    ("yolo12n-pose", "model.6.m.0.1.attn.proj.bn", 64, "model.2", 64),
)
"""Names, and a norm and the end of a stage with their widths."""
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
    "timm byobnet": Host(
        timm("test_byobnet"), (Place("stages.1.*.conv2_kxk.bn", 64), Place("stages.2", 128))
    ),
    "timm fastvit": Host(
        timm("fastvit_t8", layers=(1, 1, 1, 1)),
        (Place("stages.1.blocks.0.mlp.conv.bn", 96), Place("stages.2", 192)),
        (64, 64),
    ),
    "timm repvit": Host(
        timm("repvit_m0_9", embed_dim=WIDTHS, depth=(1, 1, 1, 1)),
        (Place("stages.2.blocks.0.token_mixer.bn", 32), Place("stages.1", 24)),
    ),
    "timm levit": Host(
        timm("levit_128s", img_size=64, embed_dim=(32, 48), num_heads=(2, 3), depth=(1, 1)),
        (
            Place("stages.0.blocks.0", 32, "tokens", (4, 4)),
            Place("stem.conv3.bn", 16),
        ),
        (64, 64),
    ),
    "timm beit": Host(
        timm("beit_base_patch16_224", **VIT),
        (
            Place("blocks.0", 32, "tokens", (4, 6), 1),
            Place("blocks.1.mlp", 32, "tokens", (4, 6), 1),
        ),
    ),
    "timm dinov3": Host(
        timm("vit_small_patch16_dinov3", **VIT),
        (Place("blocks.*", 32, "tokens", (4, 6), 5), Place("patch_embed", 32, "last")),
    ),
    "timm ghostnet": Host(
        timm("ghostnet_050"), (Place("blocks.5.0.bn_dw", 120), Place("blocks.3", 20)), (32, 64)
    ),
    "timm pvt": Host(
        timm("pvt_v2_b0", depths=(1, 1, 1, 1), embed_dims=WIDTHS, num_heads=(1, 1, 2, 2)),
        (
            Place("stages.0.blocks.0", 16, "tokens", (16, 24)),
            Place("stages.2", 32),
        ),
    ),
    "timm poolformer": Host(
        timm("poolformer_s12"), (Place("stages.1", 128), Place("stages.0.blocks.*", 64)), (32, 64)
    ),
    "timm efficientformer": Host(
        timm("efficientformerv2_s0", img_size=64, embed_dims=WIDTHS, depths=(1, 1, 1, 1)),
        (Place("stages.1.blocks.0.mlp.fc2.bn", 24), Place("stages.2", 32)),
        (64, 64),
    ),
    "timm nfnet": Host(
        timm("test_nfnet"), (Place("stages.1", 64), Place("stages.2.*", 96)), (32, 64)
    ),
    "timm resnetv2": Host(
        timm("resnetv2_50", layers=(1, 1, 1, 1), channels=WIDTHS),
        (Place("stages.3.blocks.*.norm3", 16), Place("stages.1", 24)),
    ),
    "timm checkpointing": Host(checkpointing, (Place("layer2.*.bn2", 24), Place("layer3.*", 32))),
    "torchvision resnet": Host(
        torchvision("resnet18", width_per_group=64, num_classes=5),
        (Place("layer1.*.bn2", 64), Place("layer2", 128)),
        (32, 64),
    ),
    "torchvision mobilenet": Host(
        torchvision("mobilenet_v2", width_mult=0.25),
        (Place("features.7.conv.1.1", 48), Place("features.7", 16)),
    ),
    "torchvision efficientnet": Host(
        torchvision("efficientnet_b0", num_classes=5),
        (Place("features.3.0.block.1.1", 144), Place("features.2", 24)),
        (32, 64),
    ),
    "torchvision shufflenet": Host(
        torchvision("shufflenet_v2_x0_5"),
        (Place("stage2.*.branch2.4", 24), Place("stage3", 96)),
        (32, 64),
    ),
    "torchvision googlenet": Host(
        torchvision("googlenet", aux_logits=False, init_weights=False, num_classes=5),
        (Place("inception3a.branch2.1.bn", 128), Place("inception3b.branch4.1", 64)),
        (32, 64),
    ),
    "torchvision vit": Host(
        torchvision_vit,
        (
            Place("encoder.layers.encoder_layer_0", 32, "tokens", (4, 4), 1),
            Place("conv_proj", 32),
        ),
        (64, 64),
    ),
    "torchvision quantizable": Host(
        torchvision_quantizable, (Place("layer1.*.bn2", 64), Place("layer2", 128)), (32, 64)
    ),
    "torchvision pyramid": Host(
        torchvision_pyramid,
        (Place("body.layer2.*.bn2", 128), Place("fpn.layer_blocks.0", 16)),
        (32, 64),
    ),
    "smp unet++": Host(
        smp("UnetPlusPlus", encoder_depth=3, decoder_channels=(32, 16, 16)),
        (Place("encoder.model.layer2.*.bn2", 24), Place("decoder.blocks.x_0_1", 16)),
    ),
    "smp manet": Host(
        smp("MAnet", encoder_depth=4, decoder_channels=(32, 16, 16, 16)),
        (Place("encoder.model.layer3.*.bn2", 32), Place("decoder.blocks.1", 16)),
    ),
    "smp linknet": Host(
        smp("Linknet"), (Place("encoder.model.layer3.*.bn2", 32), Place("decoder.blocks.2", 16))
    ),
    "smp pspnet": Host(
        smp("PSPNet", psp_out_channels=32),
        (Place("encoder.model.layer2.*.bn2", 24), Place("decoder", 32)),
    ),
    "smp upernet": Host(
        smp("UPerNet", decoder_channels=32),
        (Place("encoder.model.layer3.*.bn2", 32), Place("decoder.psp.out_conv", 32)),
    ),
    "smp segformer": Host(
        smp("Segformer", "mit_b0", decoder_segmentation_channels=32),
        (Place("encoder.block1.0", 32), Place("decoder.fuse_stage", 32)),
    ),
    "hf dpt": Host(
        transformers(
            "DPTForSemanticSegmentation",
            "DPTConfig",
            **TOKENS,
            initializer_range=0.2,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[16, 16, 16, 16],
            fusion_hidden_size=16,
        ),
        (Place("head.head.1", 16), Place("dpt.encoder.layer.1", 32, "tokens", (4, 4), 1)),
        (64, 64),
    ),
    "hf beit": Host(
        transformers(
            "BeitForSemanticSegmentation",
            "BeitConfig",
            **TOKENS,
            out_indices=[1, 2, 3, 4],
            pool_scales=[1, 2],
        ),
        (Place("beit.layers.1", 32, "tokens", (4, 4), 1), Place("fpn.fpn1.normalization", 32)),
        (64, 64),
    ),
    "hf mobilevit": Host(
        transformers(
            "MobileViTForSemanticSegmentation",
            "MobileViTConfig",
            hidden_sizes=[32, 32, 32],
            neck_hidden_sizes=[16, 16, 24, 24, 32, 32, 64],
            aspp_out_channels=32,
            image_size=64,
            initializer_range=0.2,
        ),
        (
            Place("mobilevit.encoder.layer.1.layer.1.conv_3x3.normalization", 96),
            Place("mobilevit.encoder.layer.2", 24),
        ),
        (64, 64),
    ),
    "hf eomt": Host(
        transformers(
            "EomtForUniversalSegmentation",
            "EomtConfig",
            **TOKENS,
            num_blocks=1,
            num_queries=5,
            num_upscale_blocks=1,
        ),
        (Place("layers.1", 32, "tokens", (4, 4), 5), Place("upscale_block", 32)),
        (64, 64),
    ),
    "hf mask2former": Host(
        mask2former,
        (
            Place(
                "model.pixel_level_module.encoder.swin.encoder.layers.0.blocks.0",
                24,
                "tokens",
                (16, 16),
            ),
            Place("model.pixel_level_module.decoder.mask_projection", 32),
        ),
        (64, 64),
    ),
    "monai unet": Host(
        monai("UNet", channels=(8, 16, 24), strides=(2, 2), num_res_units=2, norm="batch"),
        (Place("model.1.submodule.0.conv.unit1.adn.N", 16), Place("model.1", 16)),
    ),
    "monai attention unet": Host(
        monai("AttentionUnet", channels=(8, 16, 32), strides=(2, 2)),
        (Place("model.1.submodule.0.conv.1.adn.N", 16), Place("model.1.submodule.1", 16)),
    ),
    "monai basic unet": Host(
        monai("BasicUNet", features=(8, 8, 16, 24, 32, 8)),
        (Place("down_2.convs", 16), Place("upcat_3", 16)),
    ),
    "monai segresnet": Host(
        monai("SegResNet", init_filters=8), (Place("down_layers.1", 16), Place("up_layers.0", 32))
    ),
    "monai dynunet": Host(
        monai(
            "DynUNet",
            kernel_size=[3, 3, 3],
            strides=[1, 2, 2],
            upsample_kernel_size=[2, 2],
            filters=[8, 16, 32],
            norm_name="batch",
            deep_supervision=True,
        ),
        (Place("downsamples.0.norm2", 16), Place("bottleneck", 32)),
    ),
    **{
        f"ultralytics {name}": Host(ultralytics(name), (Place(bn, width), Place(end, wide)))
        for name, bn, width, end, wide in YOLO
    },
    "danet": Host(
        segmenter("danet", "test_resnet"),
        (Place("backbone.body.layer2.*.bn2", 48), Place("backbone.body.layer3", 192)),
    ),
    "siamese": Host(Siamese, (Place("encoder.4", 16),)),
    "recomputed": Host(Recomputed, (Place("blocks.*.norm", 16), Place("stem", 16))),
    "compact": Host(Compact, (Place("stages.1.bn", 24), Place("stages.0.act", 16))),
    "segmenter": Host(
        segmenter("fcn", "resnet18", channels=(16, 24, 32, 64)),
        (Place("backbone.body.layer3", 32), Place("decoder.steps", 16)),
    ),
    "sequential": Host(sequential, (Place("0", 16), Place("5", 24))),
    "own": Host(
        Own,
        (Place("last", 24, "last"), Place("pair", 24), Place("named", 24), Place("twice", 24)),
    ),
}
"""By name, the maker first."""
