"""Point-wise spatial attention: every pixel predicts, by offset, whom it hears and whom it tells.

For each direction, with weights of its own, on a map shrunk by s,

    z = shrunk(relu(norm(Wr x)))                    values
    a = relu(norm(Wg z))                            guides
    L_ji = (W a_i)[j - i]                           masks         (a logit per offset; else 0)
    collect:     o_i = sum_j z_j softmax_j(L_ji)    what i hears, by its own mask
    distribute:  o_j = sum_i z_i softmax_i(L_ji)    what j is told, by the masks of the others
    y = grown(relu(norm(Wp [o_collect, o_distribute] / f)))

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

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

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
from pixelwise.ops.resizing import neighbours, resized, shares
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
        self.shrink, self.concatenate = shrink, concatenate
        self.shrinking = Shrinking(shrink, mixed=self.border > 0)
        self.keeps_shape = not concatenate
        chosen = ("collect", "distribute") if directions == "both" else (directions,)
        self.map_heads = Heads("sum", chosen)
        swapped = compact and self.border > 0 and len(chosen) == 1
        self.branches = nn.ModuleList(
            MaskBranch(
                channels,
                width,
                mask_size,
                collect=(direction == "collect") != swapped,
                compact=compact,
                shrink=self.shrinking,
                softmax=softmax,
            )
            for direction in chosen
        )
        self.project = conv_norm(width * len(chosen), channels)

    def lean(
        self, x: Float[Tensor, "b c h w"], *, corners: bool = False
    ) -> Float[Tensor, "b o h w"]:
        """Collect, distribute, and project both.

        `corners` says whether a y that only lost its border keeps its corners in resizing.
        """
        seen = [branch(x) for branch in self.branches]
        if self.divisor != 1:
            seen = [part / self.divisor for part in seen]
        if self.border:
            seen = [F.pad(part, (self.border,) * 4) for part in seen]
        y = pointwise(self.project, *(part.flatten(2) for part in seen))
        y = y.view(len(x), -1, *seen[0].shape[2:])
        if self.shrink > 1 or self.border:
            kept = self.shrinking.size(x.shape[2:])[1] if self.shrink > 1 else corners
            y = resized(y, x.shape[2:], kept)
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
        place, sides = divmod(pixel_index(x, at), x.shape[3]), x.shape[2:]
        size, kept = self.shrinking.size(sides)
        shrunk, corners = [int(side) for side in size], int(kept)
        places = [place]
        if self.shrink > 1 or self.border:
            lines = zip(place, sides, shrunk, strict=True)
            rows, columns = (
                [
                    pixel - self.border
                    for pixel in neighbours(i, side, small + 2 * self.border, corners=corners)
                ]
                for i, side, small in lines
            )
            places = [(row, column) for row in rows for column in columns]
        with full_precision(x):
            branches = cast("Iterable[MaskBranch]", self.branches)
            spatial = torch.cat([branch.weights(x, places) for branch in branches], dim=1)
            if self.shrink > 1:
                down, across = (
                    shares(side, small, spatial, corners=corners)
                    for side, small in zip(sides, shrunk, strict=True)
                )
                spatial = down.T @ spatial @ across
            return Maps(spatial=spatial / self.divisor)

    def joined_heads(
        self, heads: Float[Tensor, "heads h w"], x: Float[Tensor, "b c h w"], at: tuple[int, int]
    ) -> Float[Tensor, "d h w"]:
        """One for each direction: the bilinear mixture of the corners between which `at` lies."""
        size, kept = self.shrinking.size(x.shape[2:])
        lines = []
        for place, side, small in zip(at, x.shape[2:], size, strict=True):
            row = shares(int(small) + 2 * self.border, side, heads, corners=int(kept))[place]
            first = min(int(row.nonzero()[0]), len(row) - 1)
            lines.append((row[first], row[first + 1 :].sum()))
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
