"""timm's HRNet at any size: branches are brought to each other's size, as its authors do.

timm enlarges a coarse branch by 2, 4 or 8, which fits only where sides are multiples of 32. Here

    y_i = relu(sum_j f_ij(x_j))     f_ij, j > i: a 1x1 convolution and norm, then the size of x_i

for pictures of any size; where sides are such multiples the numbers are timm's. Other codes resize
by other rules, see `rules.set_resize`.

Also, a stage whose widths differ from those of the stage before is led there branch by branch, as
the authors do; timm leads its coarsest branch to all of them.

For keypoints the authors' last module gives its finest branch alone (`keep_finest`).
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from timm.models import FeatureInfo
from timm.models.hrnet import HighResolutionModule, HighResolutionNetFeatures
from torch import Tensor, nn


class MeetingBranches(HighResolutionModule):  # type: ignore[misc]
    """A module of an HRNet whose branches meet at each other's size."""

    twice = False
    """Enlarge by the factor first, then to the size, as mmsegmentation does."""

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Every branch, and in each the sum of all."""
        if self.num_branches == 1:
            return [self.branches[0](x[0])]
        seen = [branch(z) for branch, z in zip(self.branches, x, strict=True)]
        met = []
        for parts, like in zip(self.fuse_layers, seen, strict=False):
            pairs = zip(parts, seen, strict=True)
            met.append(self.fuse_act(sum(self._met(part, z, like) for part, z in pairs)))
        return met

    def _met(
        self, part: nn.Module, z: Float[Tensor, "b d i j"], like: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        step = part[-1] if isinstance(part, nn.Sequential) else None
        if not isinstance(part, nn.Sequential) or not isinstance(step, nn.Upsample):
            return part(z)
        for inner in part[:-1]:
            z = inner(z)
        if self.twice:
            z = step(z)
        return F.interpolate(
            z, size=like.shape[2:], mode=step.mode, align_corners=step.align_corners
        )


class HighResolution(HighResolutionNetFeatures):  # type: ignore[misc]
    """timm's network, whose modules are `MeetingBranches`."""

    def stages(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The branches after the last stage, from what the stem gives."""
        branches = [self.layer1(x)]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            last = len(branches) - 1
            branches = stage([t(branches[min(i, last)]) for i, t in enumerate(transition)])
        return branches


def keep_finest(body: Any) -> None:
    """Let the last module give its finest branch alone, in place; what made the others goes."""
    last = body.stage4[-1]
    last.fuse_layers = last.fuse_layers[:1]
    body.feature_info = FeatureInfo(body.feature_info.info[:2], (0, 1))


def meet(body: Any) -> None:
    """Let the branches of timm's HRNet meet, in place: weights and their names stay."""
    body.__class__ = HighResolution
    body.feature_info.info[0]["num_chs"] = body.conv1.out_channels  # timm says 64, whatever it is
    for module in body.modules():
        if isinstance(module, HighResolutionModule):
            module.__class__ = MeetingBranches
