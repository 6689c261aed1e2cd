"""What the backbones of stages that are made here have in common: MiT and MSCAN."""

from collections.abc import Sequence

from jaxtyping import Float
from timm.models import FeatureInfo
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights


class StagedBackbone(ReferenceWeights):
    """Stages one after the other, whose maps are the features, as timm's backbones give them.

    Args:
        stages: Of strides 4, 2, 2, ...
        widths: Channels of each.

    Shape: (b, c, h, w) -> list of (b, widths[i], ceil(h / s), ceil(w / s)), s = 4, 8, 16, ...
    """

    def __init__(self, stages: Sequence[nn.Module], widths: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.feature_info = FeatureInfo(
            [
                {"num_chs": width, "reduction": 4 * 2**i, "module": f"stages.{i}"}
                for i, width in enumerate(widths)
            ],
            out_indices=tuple(range(len(widths))),
        )

    def forward(self, image: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The feature maps, finest first."""
        features: list[Tensor] = []
        for stage in self.stages:
            features.append(stage(features[-1] if features else image))
        return features


def check_stages(drop_path: float, **lists: Sequence[int]) -> None:
    """Raise unless each list has as many numbers as the first, from 1 on, and the rate is one."""
    first, count = next((name, len(values)) for name, values in lists.items())
    for name, values in lists.items():
        if not values or len(values) != count:
            raise InputError(
                f"{name}={tuple(values)}: must be one number per stage, as {first} has {count};"
                " give as many"
            )
        at_least(1, **{name: min(values)})
    if not 0 <= drop_path < 1:
        raise InputError(f"drop_path={drop_path}: must be from 0 to below 1; e.g. drop_path=0.1")


def drop_rates(drop_path: float, depths: Sequence[int]) -> list[list[float]]:
    """Of each block of each stage: from 0 for the first of all to `drop_path` for the last."""
    total, done, rates = sum(depths), 0, []
    for depth in depths:
        rates.append([drop_path * (done + j) / max(total - 1, 1) for j in range(depth)])
        done += depth
    return rates


def start_by_outputs(conv: nn.Conv2d) -> None:
    """Start a convolution normal, by the outputs that each input feeds, and its bias at zero."""
    fan = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels // conv.groups
    nn.init.normal_(conv.weight, std=(2 / fan) ** 0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
