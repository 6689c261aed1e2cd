"""Point-wise spatial attention: every pixel predicts, by offset, whom it hears and whom it tells.

For each direction, with weights of its own, on a map shrunk by s,

    z = shrunk(relu(norm(Wr x)))                    values
    a = relu(norm(Wg z))                            guides
    L_ji = (W a_i)[j - i]                           masks         (a logit per offset; else 0)
    collect:     o_i = sum_j z_j softmax_j(L_ji)    what i hears, by its own mask
    distribute:  o_j = sum_i z_i softmax_i(L_ji)    what j is told, by the masks of the others
    y = grown(relu(norm(Wp [o_collect, o_distribute] / f)))

The mask of a pixel holds a logit for each offset from it to another pixel, down and to the right:
the middle place is the pixel itself, and (2 h - 1)(2 w - 1) places hold every offset on the map.
Resizing, to (h - 1) // s + 1 rows, is bilinear and keeps the corners. Pixels beyond the mask
have logit 0, not minus infinity: they take part in the softmax. Compact masks have a logit for
each pixel in place of each offset, for maps of one size alone.

Source: Zhao et al., "PSANet: Point-wise Spatial Attention Network for Scene Parsing", ECCV 2018,
https://hszhao.github.io/papers/eccv18_psanet.pdf.
Reference: github.com/hszhao/semseg, PSA in model/psanet.py (MIT; its numbers only). Differences:
y alone is returned unless `concatenate`; y has the size of x, where the authors require that s
divides h - 1 and w - 1 (equal there); masks are never spread over pairs of pixels. With
variant="mmsegmentation" (github.com/open-mmlab/mmsegmentation, psa_head.py, Apache-2.0) Wp is
applied to a border of zeros, 1 wide, as well, so that y is resized from a larger map; the shrunk
map is that of `Shrinking(mixed=True)`; compact masks of a single direction mean the other one.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps, pixel_index, reduced
from pixelwise.layers.benchmarked import Size
from pixelwise.layers.shared.mask_branch import MaskBranch, Shrinking
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import formatted, pointwise
from pixelwise.ops.resizing import Side, neighbours, resized, shares
from pixelwise.ops.running.precision import full_precision


class PointwiseSpatialAttention(AttentionLayer):
    """Give every pixel what it collects from others, and what others distribute to it.

    Args:
        channels: Channels c of the input and of the output.
        reduction: The width m inside is `channels // reduction`.
        hidden: Width m itself, in place of `reduction`.
        directions: "collect", "distribute" or "both".
        mask_size: Rows and columns of a mask; odd, unless compact.
        compact: Masks of all pixels of the shrunk map, as many as `mask_size` has places.
        shrink: Factor s by which height and width are reduced inside.
        softmax: Whether the logits go through a softmax, or weigh themselves.
        normalisation: Divisor f; None is the number of places of a mask.
        concatenate: Whether to return [x, y], of 2 c channels, as the authors do.
        variant: "code", or "mmsegmentation", which resizes otherwise.
        align_corners: Whether a y that only lost its border keeps its corners in resizing.

    Shape:
        (b, c, h, w) -> (b, c, h, w), or (b, 2 c, h, w) with `concatenate`; for any h and w.

    Cost:
        2 m multiply-adds for each pixel of the shrunk map and each place of its mask that is on
        the map (all places once the map is larger), in each direction; memory linear in h * w.

    Raises:
        InputError: An option is out of range; in `forward`, compact masks do not fit the map.

    `torch.export` with free height and width needs s + 1 rows and columns, so that the shrunk map
    has more than one of each.
    """

    key: ClassVar[str] = "psanet"
    title: ClassVar[str] = "Point-wise spatial attention"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = ("PSAMask",)
    cost_exponent: float = 1.0
    benchmark_cases: ClassVar[tuple[str, ...]] = ("reduction=1,mask_size=full",)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "reduce": "branches.0.reduce",
        "attention.0": "branches.0.guide.0",
        "attention.1": "branches.0.guide.1",
        "attention.3": "branches.0.mask",
        "reduce_p": "branches.1.reduce",
        "attention_p.0": "branches.1.guide.0",
        "attention_p.1": "branches.1.guide.1",
        "attention_p.3": "branches.1.mask",
        "proj": "project",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 4,
        hidden: int | None = None,
        directions: str = "both",
        mask_size: tuple[int, int] = (59, 59),
        compact: bool = False,
        shrink: int = 2,
        softmax: bool = True,
        normalisation: float | None = 1.0,
        concatenate: bool = False,
        variant: str = "code",
        align_corners: bool = False,
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        one_of(("both", "collect", "distribute"), directions=directions)
        one_of(("code", "mmsegmentation"), variant=variant)
        at_least(1, shrink=shrink)
        if min(mask_size) < 1 or (not compact and not all(side % 2 for side in mask_size)):
            raise InputError(
                f"mask_size={mask_size}: both sides must be odd, so that a mask has a middle; "
                "e.g. mask_size=(59, 59)"
            )
        places = mask_size[0] * mask_size[1]
        self.divisor = float(places) if normalisation is None else normalisation
        if self.divisor <= 0:
            raise InputError(f"normalisation={normalisation}: must be above 0; it is a divisor")
        self.border = 1 if variant == "mmsegmentation" else 0
        self.shrink, self.softmax, self.concatenate = shrink, softmax, concatenate
        self.mask_size, self.compact = mask_size, compact
        self.align_corners = align_corners
        self.shrinking = Shrinking(shrink, mixed=self.border > 0)
        self.keeps_shape = not concatenate
        chosen = ("collect", "distribute") if directions == "both" else (directions,)
        self.map_heads = Heads("sum", chosen)
        swapped = compact and self.border > 0 and len(chosen) == 1
        self.collects = [(direction == "collect") != swapped for direction in chosen]
        self.branches = nn.ModuleList(
            MaskBranch(
                channels,
                width,
                mask_size,
                collect=collect,
                compact=compact,
                shrink=self.shrinking,
                softmax=softmax,
            )
            for collect in self.collects
        )
        self.project = conv_norm(width * len(chosen), channels)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Read the masks for all pairs of pixels, collect and distribute, and project both."""
        seen = []
        for branch, collect in zip(self.branches, self.collects, strict=True):
            value, masks = branch(x)  # (b, m, h, w) and (b, n, places), of the shrunk map
            logits = masks if self.compact else self._of_pairs(masks, *value.shape[2:])
            heard = logits if collect else logits.mT  # (b, i, j): how i hears j
            weights = heard.softmax(dim=2) if self.softmax else heard
            mixed = torch.einsum("bij,bmj->bmi", weights, value.flatten(2))
            seen.append(torch.unflatten(mixed, 2, value.shape[2:]))
        y = self.project(F.pad(torch.cat(seen, dim=1) / self.divisor, (self.border,) * 4))
        y = F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=bool(self._corners(x)))
        return torch.cat((x, y), dim=1) if self.concatenate else y

    def _of_pairs(
        self, masks: Float[Tensor, "b n places"], height: int, width: int
    ) -> Float[Tensor, "b n n"]:
        """Where the offset from pixel i to pixel j lies in the mask of i, its logit; else 0."""
        rows, columns = self.mask_size
        pixel = torch.arange(height * width, device=masks.device)
        row, column = pixel // width, pixel % width
        down = row - row[:, None] + rows // 2  # (i, j): the mask's row for j, its middle for i
        right = column - column[:, None] + columns // 2
        inside = (down >= 0) & (down < rows) & (right >= 0) & (right < columns)
        place = torch.where(inside, down * columns + right, 0)
        return masks.gather(2, place.expand(len(masks), -1, -1)).masked_fill(~inside, 0)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Masks are never written, nor spread over pairs of pixels; convolutions are products."""
        seen = [branch.lean(x) for branch in self._branches()]
        if self.divisor != 1:
            seen = [part / self.divisor for part in seen]
        if self.border:
            seen = [F.pad(part, (self.border,) * 4) for part in seen]
        y = pointwise(self.project, *(part.flatten(2) for part in seen))
        y = y.view(x.shape[0], -1, *seen[0].shape[2:])
        if self.shrink > 1 or self.border:
            y = resized(y, x.shape[2:], self._corners(x))
        y = formatted(y, x)
        return torch.cat((x, y), dim=1) if self.concatenate else y

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees all pixels; a head for each direction.

        If the map is shrunk, `at` lies between up to four pixels of the shrunk map, upper left,
        upper right, lower left and lower right: each direction has a head for each of them.
        Its weights of shrunk pixels are given to the pixels that these were made from. A pixel
        of the border sees nothing: its weights are 0.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        pixel_index(x, at)
        assert at is not None
        places, sides = [at], x.shape[2:]
        if self.shrink > 1 or self.border:
            places = self.shrinking.around(at, sides, self.border, corners=self._corners(x))
        with full_precision(x):
            weights = [branch.weights(x, places) for branch in self._branches()]
            spatial = torch.cat(weights, dim=1)
            if self.shrink > 1:
                spatial = self.shrinking.spread(spatial, sides)
            return Maps(spatial=spatial / self.divisor)

    def joined_heads(
        self, heads: Float[Tensor, "heads h w"], x: Float[Tensor, "b c h w"], at: tuple[int, int]
    ) -> Float[Tensor, "d h w"]:
        """One for each direction: the bilinear mixture of the corners between which `at` lies."""
        size, corners = self.shrinking.size(x.shape[2:])[0], self._corners(x)
        lines = []
        for place, side, small in zip(at, x.shape[2:], size, strict=True):
            count = small + 2 * self.border
            row = shares(count, side, heads, corners=corners).select(0, place)
            first = row.select(0, neighbours(place, side, count, corners=corners)[0])
            lines.append((first, 1 - first))
        mixture = torch.stack([down * across for down in lines[0] for across in lines[1]])
        split = torch.unflatten(heads, 0, (len(self.branches), -1))
        return split[:, 0] if split.shape[1] == 1 else torch.einsum("dphw,p->dhw", split, mixture)

    @classmethod
    def benchmark_options(cls, options: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """`mask_size=full` is as large as the map needs, so that every pixel sees all others."""
        if options.get("mask_size") != "full":
            return dict(options)
        shrink = options.get("shrink", 2)
        full = tuple(2 * ((side - 1) // shrink) + 1 for side in size[2:])
        return {**options, "mask_size": full}

    def _corners(self, x: Tensor) -> Side:
        """Whether y keeps its corners when it is resized to the size of x."""
        return self.shrinking.size(x.shape[2:])[1] if self.shrink > 1 else self.align_corners

    def _branches(self) -> list[MaskBranch]:
        return [branch for branch in self.branches if isinstance(branch, MaskBranch)]
