"""Attention gate: a coarse guide says where in finer features to look.

For features x and a guide g, with up(.) bilinear to the size of what it is added to or meets,

    f = act(X * x + up(G g + b))       both, where X strides down to the guide's resolution
    e_n = w . f_n + c                  how well a place suits the guide
    a = up(normalise(e))               where to look: a weight for every pixel of x
    y = norm(W (a x) + d)              what is there, transformed

where normalise is a sigmoid, a softmax over all n, or another rule of ops/place_weights.py.

Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018,
https://arxiv.org/abs/1804.03999.
Reference: github.com/ozan-oktay/Attention-Gated-Networks, models/layers/grid_attention_layer.py
(MIT), GridAttentionBlock2D: mode "concatenation" is activation="relu" with normalise="sigmoid",
"concatenation_debug" has "softplus", "concatenation_residual" normalise="softmax". The same file's
GridAttentionBlock2D_TORR has strided_guide=True, and mode "concatenation_<normalise>". Weights
trained with torch before 0.4 want align_corners=True. Differences: a comes from `maps`; in
evaluation it is applied behind W, into which the norm is folded; a map below the stride is padded
by zeros. With compare_norm=True, batch norms follow X, G and w, which all have biases: with
stride=1 and transform=False that is the gate of the networks known as AttU_Net, whose keys are W_x,
W_g and psi (written from the names and the paper; no code was read).
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import FusionLayer, Heads, Maps
from pixelwise.layers.benchmarked import Size
from pixelwise.layers.shared.parts import conv_norm, reset
from pixelwise.layers.shared.pointwise import formatted, weighted
from pixelwise.ops.place_weights import NORMALISE, place_weights
from pixelwise.ops.running.precision import full_precision, statistics_dtype

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "softplus": F.softplus,
    "none": lambda features: features,
}
START = {"sigmoid": 3.0, "softmax": 10.0}
"""Where the authors start c of a strided guide."""


class AttentionGate(FusionLayer):
    """Gate features by their agreement with a guide, and transform them.

    Args:
        channels: Channels c of the features and of the output.
        guide_channels: Channels of the guide; by default c.
        hidden: Channels in which the two are compared; by default half of c.
        stride: Step of the comparison on the features, one number or (rows, columns).
        activation: "relu", "softplus" or "none".
        normalise: What makes weights of scores: "sigmoid", "softmax", "mean", "mean_flow" or
            "range".
        strided_guide: Project the guide with this stride too, and without a bias.
        align_corners: Whether resizing matches the centres of the corner pixels.
        project: False: the features are compared as they are (hidden = c, no stride).
        project_guide: False: the guide is compared as it is (hidden = guide_channels).
        score: False: every hidden channel is a score (hidden = 1, or c with "sigmoid").
        transform: False: the gated features are returned as they are.
        norm: Whether a batch norm follows the transform.
        compare_norm: Whether a batch norm follows both projections and the score.

    Shape:
        (b, c, h, w), (b, g, i, j) -> (b, c, h, w), for any sizes.

    Cost:
        c * (hidden + c) multiply-adds per pixel; maps of c and of the hidden width.

    Raises:
        InputError: An option is out of range, or widths do not fit.
    """

    key: ClassVar[str] = "gate"
    title: ClassVar[str] = "Attention gate"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "AG",
        "GridAttentionBlock2D",
        "GridAttentionBlock2D_TORR",
        "AttentionBlock",
        "Attention_block",
        "attention gates",
        "additive attention gate",
        "Attention U-Net",
        "AttnUNet gate",
        "grid attention",
    )
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "theta": "reduce",
        "phi": "reduce_guide",
        "psi": "score",
        "W.0": "transform.0",
        "W.1": "transform.1",
        "W": "transform.0",
        "W_x": "reduce",
        "W_g": "reduce_guide",
    }

    def __init__(
        self,
        channels: int,
        *,
        guide_channels: int | None = None,
        hidden: int | None = None,
        stride: int | tuple[int, int] = 2,
        activation: str = "relu",
        normalise: str = "sigmoid",
        strided_guide: bool = False,
        align_corners: bool = False,
        project: bool = True,
        project_guide: bool = True,
        score: bool = True,
        transform: bool = True,
        norm: bool = True,
        compare_norm: bool = False,
    ) -> None:
        super().__init__(channels)
        at_least(1, channels=channels)
        guides = channels if guide_channels is None else guide_channels
        width = max(1, channels // 2) if hidden is None else hidden
        at_least(1, guide_channels=guides, hidden=width)
        rows, columns = pair(1, stride=stride)
        one_of(tuple(ACTIVATIONS), activation=activation)
        one_of(tuple(NORMALISE), normalise=normalise)
        allowed = (1, channels) if normalise == "sigmoid" else (1,)
        for named, free, widths in [
            ("project", project, (channels,)),
            ("project_guide", project_guide, (guides,)),
            ("score", score, allowed),
        ]:
            if not free and width not in widths:
                raise InputError(
                    f"hidden={width} with {named}=False: must be "
                    f"{' or '.join(map(str, widths))}; set hidden, or {named}=True"
                )
        self.activation, self.normalise = activation, normalise
        self.guide_channels = guides
        self.strided_guide, self.align_corners = strided_guide, align_corners
        self.stride = step = (rows, columns)
        self.reduce = self.reduce_guide = self.score = self.transform = None
        if project:
            self.reduce = _projection(channels, width, step, bias=False, norm=compare_norm)
        if project_guide:
            step = step if strided_guide else (1, 1)
            biased = not strided_guide
            self.reduce_guide = _projection(guides, width, step, bias=biased, norm=compare_norm)
        if score:
            self.score = _projection(width, 1, (1, 1), bias=True, norm=compare_norm)
        if transform:
            self.transform = conv_norm(channels, channels, bias=True, activation=None)
            if not norm:
                self.transform[1] = nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do."""
        reset(self)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
        if self.strided_guide and self.score is not None and self.normalise in START:
            last = self.score[-1] if isinstance(self.score, nn.Sequential) else self.score
            nn.init.constant_(last.get_parameter("bias"), START[self.normalise])

    def plain(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b c h w"]:
        """Weigh the pixels of x by their agreement with the guide, and transform them."""
        gated = x * self._weights(x, guide).to(x.dtype)
        return gated if self.transform is None else self.transform(gated)

    def lean(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b c h w"]:
        """With a fixed norm the weights come behind the transform, and into the norm's pass."""
        transform = self.transform
        if transform is None or self.training or transform[1].training or self.score is None:
            return formatted(self.plain(x, guide), x)
        return weighted(transform, x, self._weights(x, guide).to(x.dtype))

    def maps(
        self,
        x: Float[Tensor, "b c h w"],
        guide: Float[Tensor, "b g i j"],
        at: tuple[int, int] | None = None,
    ) -> Maps:
        """Weights of the pixels of x, the same for every `at`."""
        return Maps(spatial=self._weights(x, guide).to(statistics_dtype(x)))

    @classmethod
    def benchmark_options(cls, options: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The coarser map of a U-Net is twice as wide."""
        return {"guide_channels": 2 * size[1], **options}

    def _weights(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b heads h w"]:
        features = x if self.reduce is None else self.reduce(self._whole_cell(x))
        if self.reduce_guide is not None:
            guide = self.reduce_guide(self._whole_cell(guide) if self.strided_guide else guide)
        both = features + self._resized(guide, features)
        agreement = ACTIVATIONS[self.activation](both)
        score = agreement if self.score is None else self.score(agreement)
        with full_precision(x):
            flat = score.to(statistics_dtype(x)).flatten(2)
            weights = place_weights(flat, self.normalise).view(score.shape)
            return self._resized(weights, x)

    def _resized(
        self, z: Float[Tensor, "b d i j"], to: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b d h w"]:
        size = to.shape[2:]
        return F.interpolate(z, size, mode="bilinear", align_corners=self.align_corners)

    def _whole_cell(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """`z`, padded by zeros where it is smaller than the stride."""
        (rows, columns), (height, width) = self.stride, z.shape[2:]
        if height >= rows and width >= columns:
            return z
        return F.pad(z, (0, max(0, columns - width), 0, max(0, rows - height)))


def _projection(
    channels: int, outputs: int, stride: tuple[int, int], *, bias: bool, norm: bool
) -> nn.Module:
    """A convolution of cells of that stride; with a norm, parts 0 and 1, and always a bias."""
    convolution = nn.Conv2d(channels, outputs, stride, stride, bias=bias or norm)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs)) if norm else convolution
