"""Published combinations of a decoder, a backbone and what stands inside it, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Published:
    """What a name stands for; whatever is given to `create_model` takes its place."""

    title: str
    year: int
    summary: str
    source: str
    arch: str
    backbone: str
    attention: str | None = None
    convolution: str | None = None
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    """Taken for backbones of the same family."""
    options: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """Other names that articles and code have for it."""

    def options_for(self, backbone: str) -> Mapping[str, Any]:
        """`backbone_options`, where `backbone` is of the family they are made for."""
        same = backbone.partition("_")[0] == self.backbone.partition("_")[0]
        return self.backbone_options if same else {}


ZOO: Mapping[str, Published] = {
    "acmix_resnet": Published(
        title="ACmix-ResNet",
        year=2022,
        summary="fcn on a ResNet whose 3x3 convolutions are mixed with self-attention (acmix)",
        source="Pan et al. 2022, https://arxiv.org/abs/2111.14556",
        arch="fcn",
        backbone="resnet50",
        convolution="acmix",
        aliases=("ResNet-ACmix", "ACmix"),
    ),
    "hrnet": Published(
        title="HRNetV2",
        year=2019,
        summary="hrnetv2 on an HRNet whose branches meet bilinearly",
        source="Wang et al. 2019, https://arxiv.org/abs/1908.07919",
        arch="hrnetv2",
        backbone="hrnet_w48",
        backbone_options={"resize": "bilinear_aligned"},
    ),
    "hrnet_ocr": Published(
        title="HRNet-OCR with polarized self-attention",
        year=2021,
        summary="ocrnet on an HRNet with polarized self-attention in its basic blocks",
        source="Liu et al. 2021, https://arxiv.org/abs/2107.00782 (HRNetV2-W48 + OCR + PSA)",
        arch="ocrnet",
        backbone="hrnet_w48",
        attention="psa_s@inner2,inner3,inner4",
        backbone_options={"resize": "bilinear"},
        options={"features": "all"},
        aliases=("HRNetV2-OCR+PSA", "HRNet-OCR-PSA", "HRNet-PSA"),
    ),
    "hrnet_pose": Published(
        title="HRNet for keypoints",
        year=2019,
        summary="one 1x1 convolution on the finest branch of an HRNet; for keypoints",
        source="Sun et al. 2019, https://arxiv.org/abs/1902.09212",
        arch="simple_baseline",
        backbone="hrnet_w32",
        backbone_options={"branches": "finest"},
        options={"widths": ()},
        aliases=("Pose-HRNet", "PoseHighResolutionNet", "HRNet-W32 pose"),
    ),
}
