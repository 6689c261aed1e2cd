"""State-space scan: every pixel hears of all before it, in four directions through the map.

For pixels x in R^c, inner width e and n states for each inner channel,

    [u, z] = We x,   u = silu(Kd u),   z = silu(z)    features and gate    (Kd * a depthwise kernel)
    [r, B, C] = Ws u,   d = softplus(Wd r + bd)       what to write and to read, and step sizes
    h_t = exp(d_t A) h_(t-1) + d_t B_t u_t            states along a sequence of the pixels
    y_t = C_t . h_t + D u_t                           what is read of them
    y = Wo (norm(sum_k y_k) * z)                      all four directions, gated

Ws, Wd, bd, A = -exp(a) and D differ between directions. The sequences are the map by rows, by
columns, and both from the end.

Source: Liu et al., "VMamba: Visual State Space Model", 2024, https://arxiv.org/abs/2401.10166.
Reference: github.com/MzeroMiko/VMamba, vmamba.py (MIT), SS2D. Its `forward_type` is told by options
here: "v0" and "v01" to "v05" by none (the released code raises on its own default, "v2"), "v051d"
by route="rows", "v052d" by "rows_both_ways", "_noz" by gate="none", "_nozact" by "linear", "_on..."
by `norm` ("dwconv3" is "convolution", "cnorm" is "layer_convolution"), "_oact" by
`output_activation`. Differences: kernels of even size, with which its maps shrink, are refused;
features come as (b, c, h, w); the states of no more than a run of pixels are in memory.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps, pixel_place
from pixelwise.layers.reference import fits
from pixelwise.layers.shared.parts import reset
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.layers.shared.scan_routes import DIRECTIONS, ROUTES
from pixelwise.layers.shared.selective_states import SelectiveStates, by_direction

GATES = ("silu", "linear", "none")
NORMS = ("layer", "none", "convolution", "layer_convolution", "softmax", "sigmoid")


class StateSpaceScan(AttentionLayer):
    """Let states run through the pixels in four directions, and read them at each.

    Args:
        channels: Channels c of the input and of the output.
        expansion: The inner width e is `expansion * channels`, rounded down.
        states: States n for each inner channel; the networks of the authors have 1.
        step_rank: Width of r; a sixteenth of c, rounded up, by default.
        kernel_size: Side of the depthwise kernel, odd; 1 leaves it out.
        kernel_bias: Whether that has a bias.
        route: "cross"; "rows" goes by rows four times, "rows_both_ways" twice each way.
        gate: "silu", "linear" without the silu, or "none", where We has no z.
        norm: "layer"; a depthwise 3x3 "convolution", or "layer_convolution" for both; "softmax"
            over the pixels; "sigmoid"; or "none".
        output_activation: Whether a GELU comes before the gate.
        bias: Whether We and Wo have biases.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c e 3 + 8 e (r + n) multiply-adds per pixel and 4 e n steps of states; memory linear in
        h * w.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "ss2d"
    title: ClassVar[str] = "State-space scan"
    year: ClassVar[int] = 2024
    aliases: ClassVar[tuple[str, ...]] = (
        "VMamba",
        "VSS",
        "VSSM",
        "VSSBlock",
        "S6",
        "selective scan",
    )
    cost_exponent: float = 1.0
    benchmark_cases: ClassVar[tuple[str, ...]] = ("states=1,gate=none",)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "in_proj": "expand",
        "conv2d": "convolve",
        "x_proj": "scan.select",
        "x_proj_weight": "scan.select.weight",
        "dt_projs": "scan.steps",
        "dt_projs_weight": "scan.steps.weight",
        "dt_projs_bias": "scan.steps.bias",
        "A_logs": "scan.rates",
        "Ds": "skips",
        "out_norm": "norm",
        "out_norm.0": "norm",
        "out_norm.1": "mix",
        "out_norm.2": "mix",
        "out_proj": "project",
    }

    def __init__(
        self,
        channels: int,
        *,
        expansion: int | float = 2.0,
        states: int = 16,
        step_rank: int | None = None,
        kernel_size: int = 3,
        kernel_bias: bool = True,
        route: str = "cross",
        gate: str = "silu",
        norm: str = "layer",
        output_activation: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__(channels)
        at_least(1, states=states, kernel_size=kernel_size)
        one_of(tuple(ROUTES), route=route)
        one_of(GATES, gate=gate)
        one_of(NORMS, norm=norm)
        width = int(expansion * channels)
        if width < 1:
            raise InputError(
                f"expansion={expansion}: leaves no inner channel of {channels}; raise expansion"
            )
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size={kernel_size}: must be odd; use {kernel_size + 1}")
        rank = math.ceil(channels / 16) if step_rank is None else step_rank
        at_least(1, step_rank=rank)
        self.gate, self.normed, self.output_activation = gate, norm, output_activation
        self.route = ROUTES[route]
        self.map_heads = Heads("sum", self.route.names)
        self.expand = nn.Linear(channels, width if gate == "none" else 2 * width, bias)
        self.convolve = (
            nn.Conv2d(
                width, width, kernel_size, 1, kernel_size // 2, groups=width, bias=kernel_bias
            )
            if kernel_size > 1
            else None
        )
        self.scan = SelectiveStates(width, states, rank, self.route)
        self.skips = nn.Parameter(torch.empty(DIRECTIONS * width))
        self.norm = nn.LayerNorm(width) if norm.startswith("layer") else None
        mixed = norm.endswith("convolution")
        self.mix = nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False) if mixed else None
        self.project = nn.Linear(width, channels, bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: see `SelectiveStates`, and D is 1."""
        reset(self.expand, self.convolve, self.norm, self.mix, self.project)
        self.scan.reset_parameters()
        nn.init.ones_(self.skips)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Checkpoints may have an axis of directions, which here is one with the channels."""
        own, parts = self.state_dict(), ("scan.", "skips")

        def joined(key: str, value: Tensor) -> Tensor:
            name = self.reference_name(key)
            if name is None or name not in own or not name.startswith(parts):
                return value
            return value if value.ndim < 2 or fits(value, own[name]) else value.flatten(0, 1)

        return {key: joined(key, value) for key, value in state_dict.items()}

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Part the features, scan one in four directions, and gate what was read by the other."""
        seen, gate = self._parted(x)
        y = self.scan(self.route.lines(seen))  # (b, sequences, h w, e)
        return self._joined(seen, gate, self.route.merged(y, seen))

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The sequences are not copied for each direction."""
        seen, gate = self._parted(x)
        y = self.scan.lean(self.route.lines(seen))
        return formatted(self._joined(seen, gate, self.route.merged(y, seen)), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights of all pixels in what is read at the pixel `at`, before the norm.

        Heads are inner channels, of the first direction, then of the next; D counts for the pixel
        itself. What a pixel writes into the states has either sign, and so have the weights.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        at = pixel_place(x, at)
        found = self.scan.weights(self._parted(x)[0], at)
        itself = torch.zeros(*x.shape[2:], 1, dtype=found[0].dtype, device=x.device)
        itself[at] = 1
        skips = by_direction(self.skips.to(itself.dtype))
        weights = torch.cat([w + itself * skips[i] for i, w in enumerate(found)], dim=3)
        return Maps(spatial=weights.permute(0, 3, 1, 2))

    def joined_heads(
        self, heads: Float[Tensor, "heads h w"], x: Float[Tensor, "b c h w"], at: tuple[int, int]
    ) -> Float[Tensor, "k h w"]:
        """One for each direction: the mean size of the weights, whose signs differ by channel."""
        return torch.unflatten(heads.abs(), 0, (DIRECTIONS, -1)).mean(1)

    def _parted(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features to scan (b, h, w, e), and the gate."""
        seen, gate = self.expand(x.permute(0, 2, 3, 1)), None
        if self.gate != "none":
            seen, gate = seen.chunk(2, dim=3)
            gate = F.silu(gate) if self.gate == "silu" else gate
        if self.convolve is not None:
            seen = self.convolve(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return F.silu(seen), gate

    def _joined(self, seen: Tensor, gate: Tensor | None, y: Float[Tensor, "b h w e"]) -> Tensor:
        skips = by_direction(self.skips.to(y.dtype)).sum(0)
        y = y + skips * seen.to(y.dtype)
        if self.normed == "softmax":
            y = y.flatten(1, 2).softmax(dim=1).view(y.shape)
        if self.norm is not None:  # under autocast in float32, before numbers are too large
            y = self.norm(y.to(self.skips.dtype))
        y = y.to(seen.dtype)
        if self.mix is not None:
            y = self.mix(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        if self.normed == "sigmoid":
            y = y.sigmoid()
        if self.output_activation:
            y = F.gelu(y)
        return self.project(y if gate is None else y * gate).permute(0, 3, 1, 2)
