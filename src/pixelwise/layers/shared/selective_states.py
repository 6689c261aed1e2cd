"""States that run through sequences of pixels, with steps, writing and reading by the pixel.

For pixels u_t of a sequence, in each of four directions with weights of its own,

    [r, B, C] = Ws u                          what to write and to read
    d = softplus(Wd r + bd)                   step sizes, for each channel
    h_t = exp(d_t A) h_(t-1) + d_t B_t u_t    n states for each channel
    y_t = C_t . h_t                           what is read of them

with A = -exp(a). Directions of one sequence are added; see `scan_routes` for the sequences.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.alterations import transformed
from pixelwise.layers.shared.scan_routes import DIRECTIONS, Route
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.selective_scan import scan_weights, selective_scan, traced_scan

STEPS = (1e-3, 1e-1)
"""Between which step sizes start."""


class SelectiveStates(nn.Module):
    """What four directions read of the states that they carry through their sequences.

    Args:
        channels: Channels e of the pixels.
        states: States n for each channel.
        rank: Width of r.
        route: How many sequences there are, and which directions start at the end.

    Shape:
        (b, sequences, pixels, e) -> the same.
    """

    def __init__(self, channels: int, states: int, rank: int, route: Route) -> None:
        super().__init__()
        self.route, self.widths, k = route, [rank, states, states], DIRECTIONS
        self.select = nn.Conv1d(k * channels, k * sum(self.widths), 1, groups=k, bias=False)
        self.steps = nn.Conv1d(k * rank, k * channels, 1, groups=k)
        self.rates = nn.Parameter(torch.empty(k * channels, states))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise as the authors do: rates of 1 to n, steps from a thousandth to a tenth."""
        self.select.reset_parameters()
        (rank, states, _), (low, high) = self.widths, map(math.log, STEPS)
        nn.init.uniform_(self.steps.weight, -(rank**-0.5), rank**-0.5)
        assert self.steps.bias is not None
        step = torch.empty_like(self.steps.bias).uniform_(low, high).exp()
        self.steps.bias.copy_(step + torch.log(-torch.expm1(-step)))  # of which softplus is `step`
        self.rates.copy_(torch.arange(1, states + 1).log().expand_as(self.rates))

    def forward(self, lines: Float[Tensor, "b s l e"]) -> Float[Tensor, "b s l e"]:
        """By calling the parts."""
        return self._scanned(lines, *self._numbers(lines))

    def lean(self, lines: Float[Tensor, "b s l e"]) -> Float[Tensor, "b s l e"]:
        """By products with the sequences, which are never copied."""
        with full_precision(lines):
            kind, bias = statistics_dtype(lines), self.steps.bias
            assert bias is not None
            select, steps = (
                by_direction(part.weight[:, :, 0].to(kind)).mT for part in (self.select, self.steps)
            )
            own = lines.to(kind).unbind(1)
            numbers = [torch.matmul(own[i % len(own)], select[i]) for i in range(DIRECTIONS)]
            rank, write, read = torch.split(torch.stack(numbers, 1), self.widths, dim=3)
            logits = torch.matmul(rank, steps) + by_direction(bias.to(kind))[:, None]
            return self._scanned(lines, logits, write, read)

    def weights(
        self, seen: Float[Tensor, "b h w e"], at: tuple[int, int]
    ) -> list[Float[Tensor, "b h w e"]]:
        """For each direction, the weights of all pixels in what is read at one."""
        lines = self.route.lines(seen)
        with full_precision(seen):
            kind, found = statistics_dtype(seen), []
            logits, write, read = (z.to(kind) for z in self._numbers(lines))
            for i, rate in enumerate(self._rates(kind)):
                place = self.route.place(i, at, seen)
                backwards = i >= DIRECTIONS - self.route.backwards
                step = F.softplus(logits[:, i])
                own = scan_weights(step, rate, write[:, i], read[:, i], place, backwards)
                found.append(self.route.placed(own, i, seen))
            return found

    def _numbers(self, lines: Float[Tensor, "b s l e"]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the steps (b, k, l, e), what to write and what to read (b, k, l, n)."""
        each = lines.repeat(1, DIRECTIONS // lines.shape[1], 1, 1).mT.flatten(1, 2)
        numbers = torch.unflatten(self.select(each), 1, (DIRECTIONS, -1))
        rank, write, read = torch.split(numbers, self.widths, dim=2)
        logits = torch.unflatten(self.steps(rank.flatten(1, 2)), 1, (DIRECTIONS, -1))
        return logits.mT, write.mT, read.mT

    def _rates(self, kind: torch.dtype) -> Float[Tensor, "k e n"]:
        return -by_direction(self.rates.to(kind).exp())

    def _scanned(self, lines: Tensor, logits: Tensor, write: Tensor, read: Tensor) -> Tensor:
        scan = traced_scan if transformed() else selective_scan
        with full_precision(lines):
            kind = statistics_dtype(lines)
            step, rates = F.softplus(logits.to(kind)), self._rates(kind)
            return scan(lines, step, rates, write.to(kind), read.to(kind), self.route.backwards)


def by_direction(z: Float[Tensor, "ke *n"]) -> Float[Tensor, "k e *n"]:
    """Numbers of all directions, with an axis for those."""
    return torch.unflatten(z, 0, (DIRECTIONS, -1))
