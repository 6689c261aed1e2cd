"""Any timm backbone with feature maps, with attention where one names it.

Stages are counted so that the last is 4: stage 4 is the coarsest feature map, stage 3 the one
before it, and so on.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import Layer
from pixelwise.networks.backbones import plain_transformers, residual, rules
from pixelwise.networks.backbones.bodies import create_body
from pixelwise.networks.config import Attention

LAST_STAGE = 4
PADDINGS = ("border", "none")
"""How pictures get sides that a backbone can divide: by repeating the border, or not at all."""


class _After:
    """A forward hook that passes a module's output through a layer; deep-copies with it."""

    def __init__(self, layer: Layer, channels: int) -> None:
        self.layer = layer
        self.channels = channels

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        if output.shape[1] == self.channels:
            return self.layer(output)
        return self.layer(output.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # channels-last host


class Backbone(nn.Module):
    """A timm network cut into feature maps.

    Args:
        name: Any timm model name that supports `features_only`.
        in_channels: Input bands; timm adapts pretrained weights to the number.
        pretrained: Load timm's weights (needs the network or a filled cache).
        output_stride: Input pixels per pixel of the last feature map (8, 16 or 32); None takes
            `preferred_stride` where the backbone can and its own stride where it cannot.
        preferred_stride: See `output_stride`.
        attention: Place -> (layer, options). After a stage ("stage3"), later stages see its
            output; inside the blocks of a residual network ("inner3", "blocks"), see `residual`.
        convolution: Stage -> (kind, options): what stands in for the 3x3 convolutions of a
            residual network's blocks, see `residual`.
        multi_grid: Dilations of the last stage's blocks, e.g. (4, 8, 16); residual networks only.
        options: Keyword arguments of timm's network, and rules of other codes: `dilation`
            ("contract", "full", "first_conv", "first_block"), for ResNets `pooling` ("floor",
            "ceil") and `style` ("pytorch", "caffe"), for MobileNetV3 `fine` ("stage",
            "first_block"), and for HRNets `resize` ("nearest", "bilinear", "bilinear_aligned",
            "bilinear_twice") and `branches` ("all", "finest"); see `backbones.rules`. `norm_eps` is
            what the norms of transformers add to the variance.
            `padding="none"` gives the backbone every picture as it is: the numbers are timm's,
            sides that it cannot take are refused, and where it drops what its strides leave over,
            maps have no pixel for that.
        taps: Of a plain transformer, how many evenly spaced blocks give maps, unless the options
            have `out_indices`; see `plain_transformers`.
        class_token: The class token stands beside each pixel of the maps.

    Shape: (b, in_channels, h, w) -> list of (b, c_i, ceil(h / r_i), ceil(w / r_i)), finest first,
    for h and w that are multiples of `multiple`.
    """

    multiple: int
    """Input sides must be multiples of this; 1 for most convolutional backbones. The network pads
    other pictures by repeating their last row and column, which changes the numbers near there,
    and all numbers where the backbone looks at the whole picture."""

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        pretrained: bool = False,
        output_stride: int | None = None,
        preferred_stride: int = 32,
        attention: Attention | None = None,
        convolution: Attention | None = None,
        multi_grid: tuple[int, ...] | None = None,
        options: Mapping[str, Any] | None = None,
        taps: int | None = None,
        class_token: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        build = dict(options or {})
        dilation, resize = build.pop("dilation", "contract"), build.pop("resize", None)
        pooling, fine = build.pop("pooling", "floor"), build.pop("fine", "stage")
        branches, style = build.pop("branches", "all"), build.pop("style", "pytorch")
        padding, norm_eps = build.pop("padding", "border"), build.pop("norm_eps", None)
        one_of(PADDINGS, padding=padding)
        strides = (output_stride, preferred_stride)
        self.body: Any = create_body(name, in_channels, pretrained, *strides, build)
        rules.set_branches(self.body, name, branches)
        plain_transformers.set_norm_eps(self.body, name, norm_eps)
        if taps is not None and "out_indices" not in build:
            plain_transformers.set_taps(self.body, taps)
        if class_token:
            plain_transformers.set_class_token(self.body, name)
        info = self.body.feature_info
        self.channels: list[int] = list(info.channels())
        self.reductions: list[int] = list(info.reduction())
        if dilation != "contract":
            rules.set_dilation(self.body, name, dilation)
        if multi_grid is not None:
            rules.set_multi_grid(self.body, name, multi_grid)
        if pooling != "floor":
            rules.set_pooling(self.body, name, pooling)
        rules.set_fine(self.body, name, fine)
        rules.set_style(self.body, name, style)
        if resize is not None:
            rules.set_resize(self.body, name, resize)
        for place, (kind, chosen) in sorted((convolution or {}).items()):
            residual.convolve(self.body, name, place.removeprefix("stage"), kind, chosen)
        self.attention = nn.ModuleDict()
        self.padded = padding == "border"
        self.multiple = _input_multiple(self, name) if self.padded else 1
        for place, (layer, chosen) in sorted((attention or {}).items()):
            if place.startswith("stage"):
                self._attend(name, int(place[-1]), layer, chosen)
            else:
                residual.attend(self.body, name, place, layer, chosen)

    def forward(self, image: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The feature maps, finest first."""
        features = [
            f if f.shape[1] == c else f.permute(0, 3, 1, 2)  # channels-last transformers
            for f, c in zip(self._maps(image), self.channels, strict=True)
        ]
        last = f"stage{LAST_STAGE}"
        if last in self.attention:
            features[-1] = self.attention[last](features[-1])
        return features

    def _maps(self, image: Tensor) -> list[Tensor]:
        if self.padded or torch.compiler.is_compiling():
            return self.body(image)
        try:
            return self.body(image)
        except (AssertionError, RuntimeError, ValueError) as error:
            told = f"{error}".partition("\n")[0]
            if "memory" in told:
                raise
            height, width = image.shape[2:]
            raise InputError(
                f"padding='none': the backbone does not take {height}x{width} pixels ({told}); take"
                " sides that it divides, or padding='border'"
            ) from error

    def _attend(self, name: str, stage: int, key: str, options: Mapping[str, Any]) -> None:
        first = LAST_STAGE - len(self.channels) + 1
        if not max(first, 1) <= stage <= LAST_STAGE:
            raise InputError(
                f"attention='{key}@stage{stage}': backbone {name!r} has stages"
                f" {max(first, 1)} to {LAST_STAGE}; name one of them"
            )
        index = stage - first
        place = f"after stage {stage}"
        layer = residual.attention_layer(key, self.channels[index], options, place)
        if stage < LAST_STAGE:
            self._stage_module(name, index).register_forward_hook(
                _After(layer, self.channels[index])
            )
        self.attention[f"stage{stage}"] = layer

    def _stage_module(self, name: str, index: int) -> nn.Module:
        path = self.body.feature_info.module_name(index)
        modules = dict(self.body.named_modules())
        for candidate in (path, path.replace(".", "_")):
            module = modules.get(candidate)
            if module is not None and self._gives_feature(module, index):
                return module
        raise InputError(
            f"backbone {name!r} has no place for a layer after stage"
            f" {index + LAST_STAGE - len(self.channels) + 1}; after stage {LAST_STAGE} there is one"
        )

    def _gives_feature(self, module: nn.Module, index: int) -> bool:
        seen: list[Any] = []
        handle = module.register_forward_hook(lambda _, __, output: seen.append(output))
        side = 2 * LAST_STAGE * max(self.reductions)
        try:
            feature = _shapes(self, self.in_channels, (side, side))[index]
        finally:
            handle.remove()
        if len(seen) != 1 or not isinstance(seen[0], Tensor) or seen[0].ndim != 4:
            return False
        return sorted(seen[0].shape) == sorted(feature.shape)


def _shapes(backbone: Backbone, in_channels: int, size: tuple[int, int]) -> list[Tensor]:
    """The feature maps of a black picture of that size, for their shapes.

    Run and not simulated: a FakeTensorMode takes four to sixteen times as long.
    """
    training = backbone.training
    like = next(backbone.parameters())
    try:
        with torch.no_grad():
            image = torch.zeros(1, in_channels, *size, dtype=like.dtype, device=like.device)
            return backbone.eval()(image)
    finally:
        backbone.train(training)


def _input_multiple(backbone: Backbone, name: str) -> int:
    """1 where any input size gives ceil(size / reduction); else what to pad to."""
    finest, coarsest = min(backbone.reductions), max(backbone.reductions)
    problem: object = "sizes are not ceil(side / reduction)"
    for multiple, size in (
        (1, (5 * coarsest + 1, 4 * coarsest + 1)),
        (finest, (5 * coarsest + finest, 4 * coarsest + finest)),
        (coarsest, (6 * coarsest, 5 * coarsest)),
        (2 * coarsest, (6 * coarsest, 4 * coarsest)),
        (224, (448, 224)),  # windows of 7 on a map of 1/32
        (256, (512, 256)),  # windows of 8
    ):
        try:
            features = _shapes(backbone, backbone.in_channels, size)
        except (AssertionError, RuntimeError, ValueError) as error:
            problem = error
            continue
        expected = [tuple(-(-side // r) for side in size) for r in backbone.reductions]
        if [tuple(f.shape[-2:]) for f in features] == expected:
            return multiple
    raise InputError(
        f"backbone={name!r}: does not take pictures of any size ({problem}); choose another"
    )
