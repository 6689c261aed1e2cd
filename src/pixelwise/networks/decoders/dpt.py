"""Dense prediction transformer: maps of four blocks become a pyramid, joined from the coarsest.

    x_i = gelu(R_i * [x_i, t_i])     t_i: the class token; or x_i + t_i, or x_i alone: the readout
    s_i = D_i * resize_i(P_i * x_i)  P_i: 1x1; sizes 4, 2, 1 and 1/2 of the patches'; D_i: 3x3
    o = F(U(s_4))                    F: a 1x1 convolution, then twice the size
    o = F(U(o + U(s_i)))             for i = 3, 2, 1
    logits = W dropout(relu(norm(V * o)))        V: 3x3

    U(x) = x + norm(C * relu(norm(C' * relu(x))))    both 3x3

The 1x1 convolution comes before the enlarging, with which it commutes: a quarter of the work. A
backbone of stages has sizes of its own: its maps are not resized.

Source: Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021,
https://arxiv.org/abs/2103.13413.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/dpt_head.py (Apache-2.0),
version 1.2.2. It enlarges with aligned corners, and brings a map of another size to that of the
coarser one without; `align_corners` is for the logits alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules

LEVELS = 4
READOUTS = ("ignore", "add", "project")


class _Unit(ReferenceWeights):
    """A residual unit of two 3x3 convolutions behind their activations."""

    reference_keys: ClassVar[Mapping[str, str]] = conv_modules(
        {"conv1": "first", "conv2": "second"}
    )

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.first, self.second = (
            conv_norm(width, width, 3, activation=None)
            if norm
            else nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False))
            for _ in range(2)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.second(self.first(x.relu()).relu())


class _Fusion(ReferenceWeights):
    """What comes from the coarser maps, and a finer one beside."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        "res_conv_unit1": "skip",
        "res_conv_unit2": "unit",
        "project.conv": "project",
    }

    def __init__(self, width: int, norm: bool, *, joins: bool) -> None:
        super().__init__()
        self.skip = _Unit(width, norm) if joins else None
        self.unit = _Unit(width, norm)
        self.project = nn.Conv2d(width, width, kernel_size=1)

    def forward(
        self, x: Float[Tensor, "b c h w"], finer: Float[Tensor, "b c h w"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        if self.skip is not None and finer is not None:
            x = x + self.skip(finer)
        return self.project(self.unit(x))


class DPT(Decoder):
    """A pyramid from the maps of a plain transformer.

    Args:
        channels: Widths of the feature maps, finest first; the last four are used.
        outputs: Logits per pixel.
        width: Channels of the joined maps.
        widths: Channels of the four maps of the pyramid, finest first.
        readout: What becomes of the class token: "ignore", "add" to each pixel, or "project": a
            matrix for pixel and token.
        norm: Batch norms in the residual units and behind V.
        resize: Enlarge the maps by 4, 2, 1 and 1/2; None does where all have the same width, as
            those of a plain transformer have.
        upsampler: How what is joined comes to the size of the finer map, such as "dysample"; None
            is twice the size, bilinear, and so is the last enlarging. See `pixelwise layers`.

    Shape: maps of a plain transformer (b, c, h, w) -> (b, outputs, 16 * ceil(h / 2), ...);
        coarsest map of a backbone of stages (b, c, h, w) -> (b, outputs, 16 * h, 16 * w).
    Raises: InputError for options out of range.
    """

    key = "dpt"
    title = "Dense prediction transformer"
    year = 2021
    aliases = ("DPTHead", "DPT")
    summary = "a pyramid from four blocks of a plain transformer, joined by residual units"
    source = "Ranftl et al. 2021, https://arxiv.org/abs/2103.13413"
    backbone = "vit_base_patch16_224"
    output_stride = 32
    taps = LEVELS
    reference_keys: ClassVar[Mapping[str, str]] = {
        **{f"reassemble_blocks.readout_projects.{i}.0": f"readouts.{i}" for i in range(LEVELS)},
        **{f"reassemble_blocks.projects.{i}.conv": f"projects.{i}" for i in range(LEVELS)},
        **{f"reassemble_blocks.resize_layers.{i}": f"resizes.{i}" for i in range(LEVELS)},
        **{f"convs.{i}.conv": f"levels.{i}" for i in range(LEVELS)},
        **{f"fusion_blocks.{i}": f"fusions.{i}" for i in range(LEVELS)},
        **conv_modules({"project": "project"}),
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 256,
        widths: Sequence[int] = (96, 192, 384, 768),
        readout: str = "ignore",
        norm: bool = True,
        resize: bool | None = None,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        one_of(READOUTS, readout=readout)
        if len(widths) != LEVELS:
            raise InputError(
                f"widths={tuple(widths)}: must be {LEVELS} numbers, one per map of the pyramid;"
                " e.g. widths=(96, 192, 384, 768)"
            )
        at_least(1, width=width, widths=min(widths))
        used = list(channels)[-LEVELS:]
        self.readout, self.count = readout, len(used)
        shares = [c if readout == "ignore" else c // 2 for c in used]
        inner = list(widths)[-self.count :]
        same = len(set(used)) == 1 if resize is None else resize
        self.readouts = nn.ModuleList(
            nn.Linear(2 * c, c) for c in (shares if readout == "project" else ())
        )
        self.projects = nn.ModuleList(
            nn.Conv2d(c, w, kernel_size=1) for c, w in zip(shares, inner, strict=True)
        )
        self.resizes = nn.ModuleList(
            _resize(LEVELS - self.count + i, w) if same else nn.Identity()
            for i, w in enumerate(inner)
        )
        self.levels = nn.ModuleList(nn.Conv2d(w, width, 3, padding=1, bias=False) for w in inner)
        self.fusions = nn.ModuleList(_Fusion(width, norm, joins=i > 0) for i in range(self.count))
        self.add_upsamplers(upsampler, [(width, width)] * (self.count - 1))
        self.project = conv_norm(width, width, 3)
        if not norm:
            self.project = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.classify = classifier(width, outputs)

    @classmethod
    def reads_class_token(cls, options: Mapping[str, Any]) -> bool:
        """Whether the readout needs it."""
        return options.get("readout", "ignore") in ("add", "project")

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at twice the size of the finest map of the pyramid."""
        maps = []
        for i, x in enumerate(features[-self.count :]):
            x = self.projects[i](self._read(i, x))
            maps.append(self.levels[i](self.resizes[i](x)))
        y = self.fusions[0](maps[-1])
        for join, (fusion, finer) in enumerate(zip(self.fusions[1:], maps[-2::-1], strict=True)):
            y = fusion(*self._joined(join, y, finer))
        return self.classify(self.project(_doubled(y)))

    def _joined(
        self, join: int, x: Float[Tensor, "b c _ _"], finer: Float[Tensor, "b c _ _"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """Both maps at one size: as the authors do twice that of the coarse one."""
        if self.upsamplers is not None:
            return self.enlarged(join, x, finer)
        x = _doubled(x)
        if torch.compiler.is_compiling() or finer.shape[2:] != x.shape[2:]:
            finer = F.interpolate(finer, size=x.shape[2:], mode="bilinear")
        return x, finer

    def _read(self, i: int, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b c h w"]:
        """The map with what it takes from the class token, which is the same at all pixels."""
        if self.readout == "ignore":
            return x
        own, token = x.chunk(2, dim=1)
        if self.readout == "add":
            return own + token
        part = self.readouts[i]
        assert isinstance(part, nn.Linear)
        pixels, whole = part.weight[:, :, None, None].chunk(2, dim=1)
        return F.gelu(F.conv2d(own, pixels) + F.conv2d(token[:, :, :1, :1], whole, part.bias))


def _doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
    size = [2 * side for side in x.shape[2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def _resize(level: int, width: int) -> nn.Module:
    """What makes the pyramid's map number `level`, the finest being 0, from one of the patches."""
    if level < 2:
        side = 4 if level == 0 else 2
        return nn.ConvTranspose2d(width, width, side, side)
    return nn.Identity() if level == 2 else nn.Conv2d(width, width, 3, 2, 1)
