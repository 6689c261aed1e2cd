"""Which place of the picture every token stands for, found by differentiation.

A map (1, c, h, w) of the picture, the picture itself or what a convolution made of it, gets the
tangent a(i, j) r(i, j): r random, a the label of its cell. What follows may cut it into windows,
shift, pad, mask, permute and project it, and put other tokens before it: as long as a token y comes
from one cell alone, forward differentiation gives

    dy(a) = a(i, j) dy(1)          so    <dy(a), dy(1)> / <dy(1), dy(1)> = a(i, j)

for every label a: the row, the column, and a random number that proves the other two. Tokens that
come from no cell (class tokens, registers, padding) have no tangent. Where several cells are mixed,
the quotient is about the mean of their labels: so each map gets its new labels only if it lies
where the labels before say.

Only the ways are followed, not the numbers: projections are replaced by sums of some channels,
attention by its queries' labels, so that a pass takes a part of the time of a forward pass.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.autograd.forward_ad as fw
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.explanation.host_mode import Form, HostMode, Over
from pixelwise.explanation.placing import Area
from pixelwise.insertion.layouts import find_layout

Label = Literal["one", "row", "column", "fine row", "fine column", "random"]
FINE = 8
"""Numbers of half precision tell rows that far apart from each other."""
CHANNELS = 16
"""That a tangent is looked at by, and that a convolution is replaced by."""
SAMPLES = 256
"""Places of a map at which new labels are compared with the ones before."""
NAMES: dict[Any, str] = {
    F.max_pool2d: "max_pool2d",
    F.adaptive_max_pool2d: "adaptive_max_pool2d",
}
"""Of functions that do not have it."""
NORMS = {"batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"}
REDUCING = {"mean", "sum", "amax", "amin", "std", "var"}
MIXING = ("conv", "pool", "interpolate", "upsample", "pixel_", "grid_sample")


@dataclass
class Injection:
    """A map that got new labels."""

    rows: int
    columns: int
    area: Area | None
    """Of the picture; None is that of the map before."""
    tiles: bool = False
    """Whether its cells lie side by side, so that padding before it shows in what it covers."""
    places: Float[Tensor, "samples 2"] | None = None
    """Row and column of some cells, and what the labels before say of them."""
    seen: dict[Label, Float[Tensor, "samples channels"]] = field(default_factory=dict)


@dataclass
class Reading:
    """The tangents of an attention's queries and values, by label."""

    injections: int
    """How many maps had their labels then."""
    queries: dict[Label, Float[Tensor, "lead queries channels"]] = field(default_factory=dict)
    values: dict[Label, Float[Tensor, "lead keys channels"]] = field(default_factory=dict)
    width: dict[Label, Float[Tensor, "lead width channels"]] = field(default_factory=dict)


_unpack: Any = fw.unpack_dual


class Labelling(HostMode):
    """A forward pass with one label.

    Args:
        label: Which one.
        injections: Of the passes before; the first adds them.
        readings: The same, of attentions.
        logits: Numbers of the products that are logits of attention, and which factor holds the
            queries.
        most: Attentions of the network; the pass ends with the last one.
        refused: Maps, by number, that do not lie where their labels would say.
    """

    def __init__(
        self,
        label: Label,
        injections: dict[int, Injection],
        readings: dict[int, Reading],
        logits: dict[int, int],
        most: int,
        refused: set[int],
    ) -> None:
        super().__init__()
        self.label: Label = label
        self.injections, self.readings, self.logits = injections, readings, logits
        self.most, self.refused = most, refused
        self.count = 0
        self.image = (1, 1)
        self.grid = (1, 1)
        self._carried: list[Tensor | None] = []

    def root(self, image: Float[Tensor, "1 c h w"], area: Area) -> Tensor:
        """Give the picture, or what a network makes of it at first, its labels."""
        image, self.image = plain(image), (image.shape[2], image.shape[3])
        return self._inject(image, first=True, area=area)

    def attend(self, func: Any, args: Any, options: dict[str, Any], form: Form) -> Any:
        """Look at the tangents; the result carries the labels of the queries."""
        out = _blank(func, args, options)
        found = form(out)
        if found is None:
            return out
        lead, queries, keys = found.counts
        if self.label == "one":
            self.readings[self.attentions] = Reading(len(self.injections))
        reading = self.readings[self.attentions]
        source = found.q if found.weights is None else found.weights
        assert source is not None
        asking, giving = _tangent(source), _tangent(found.values)
        if asking is not None:
            reading.queries[self.label] = _few(asking.reshape(lead, queries, -1))
        if giving is not None:
            giving = giving.reshape(lead, keys, -1)
            reading.values[self.label] = _few(giving)
            if found.weights is not None:
                reading.width[self.label] = _few(giving.mT)
        if self.attentions == self.most:
            raise Over
        slope = torch.zeros_like(out)
        into = form(slope)
        assert into is not None
        assert into.out is not None
        wide = giving is not None and giving.shape[-1] == math.prod(self.grid) > keys
        if wide and giving is not None:  # over channels: tokens are the width
            shape = (
                *found.lead,
                *(1,) * len(found.queries),
                *into.out.shape[len(found.lead) + len(found.queries) :],
            )
            into.out.copy_(giving.mean(1).view(shape).expand_as(into.out))
        elif asking is not None:
            carried = quotient(reading.queries[self.label], reading.queries["one"])
            carried = carried.reshape(*found.lead, *found.queries)
            into.out.copy_(carried.view(*carried.shape, *(1,) * (into.out.ndim - carried.ndim)))
        else:
            return out
        return dual(out, slope)

    def multiply(
        self, number: int, func: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Logits of attention keep the labels of the queries only."""
        if number not in self.logits:
            return func(*args, **options)
        drop = 1 - self.logits[number]
        first = 1 if func.__name__ in ("baddbmm", "einsum") else 0
        given = list(args)
        if len(given) > first + drop:
            given[first + drop] = plain(given[first + drop])
        return func(*given, **options)

    def soften(self, source: int | None, func: Any, args: Any, options: dict[str, Any]) -> Any:
        """Each weight by itself: rows stay what they are."""
        given = args[0] if args else options["input"]
        return given.clone() if source is not None else func(*args, **options)

    def other(self, func: Any, args: Any, options: dict[str, Any]) -> Any:
        """Cheap stand-ins of projections and convolutions; new labels behind what mixes."""
        name = str(NAMES.get(func) or getattr(func, "__name__", ""))
        if func is F.linear and _tangent(args[0]) is not None:
            return _projected(*args, **options)
        if name in NORMS and _tangent(args[0]) is not None:
            return args[0] / (plain(args[0]).std(correction=0) + 1e-6)
        if name == "conv2d":
            out = _convolved(func, args, options)
        elif name == "max_pool2d":
            out = _averaged(*args, **options)
        else:
            out = func(*args, **options)
        if name in REDUCING and self._pooled(out, args):
            return plain(out)
        if isinstance(out, Tensor) and out.ndim == 4 and len(out) == 1:
            mixes = any(word in name for word in MIXING) and not _pointwise(name, args, options)
            if mixes or self._merged(out, args[0] if args else None):
                return self._inject(out, tiles=not mixes or _tiles(name, args, options))
        return out

    def enter_own(self, layer: nn.Module, args: Any, options: Any) -> Any:
        """Layers of this library get plain tensors."""
        given = [x for x in [*args, *options.values()] if isinstance(x, Tensor)]
        self._carried.append(given[0] if given else None)
        return (
            tuple(plain(x) if isinstance(x, Tensor) else x for x in args),
            {name: plain(x) if isinstance(x, Tensor) else x for name, x in options.items()},
        )

    def leave_own(self, layer: nn.Module, output: Any) -> Any:
        """Their output has the labels of their input."""
        given = self._carried.pop()
        tangent = None if given is None else _tangent(given)
        if tangent is None or not isinstance(output, Tensor):
            return output
        if tangent.shape == output.shape:
            return dual(output, tangent)
        return self._inject(output, first=True) if output.ndim == 4 else output

    def _pooled(self, out: Any, args: Any) -> bool:
        """Whether all pixels were taken together: a gate, which stands for none of them."""
        pixels = self.grid[0] * self.grid[1]
        given = args[0] if args else None
        if not isinstance(out, Tensor) or not isinstance(given, Tensor):
            return False
        return out.numel() * pixels <= given.numel() and pixels > 1

    def _merged(self, out: Tensor, given: Any) -> bool:
        """Whether this is a smaller map of the same picture, made without convolution."""
        size = self._size(out)
        if size is None or _tangent(out) is None:
            return False
        before = [self.grid, self._size(given) if isinstance(given, Tensor) else None]
        return any(
            other is not None and all(a <= 0.75 * b for a, b in zip(size, other, strict=True))
            for other in before
        )

    def _size(self, x: Tensor) -> tuple[int, int] | None:
        """Rows and columns of a map of the picture."""
        if x.ndim != 4:
            return None
        layout = find_layout(tuple(x.shape), self.image, 1, None)
        return None if isinstance(layout, str) else layout.size(tuple(x.shape), self.image)

    def _inject(
        self, out: Tensor, *, first: bool = False, area: Area | None = None, tiles: bool = False
    ) -> Tensor:
        """New labels for a map, unless it has none yet or is refused."""
        before = _tangent(out)
        if before is None and not first:
            return out
        self.count += 1
        number = self.count
        if number in self.refused:
            return out
        layout = find_layout(tuple(out.shape), self.image, 1, None)
        last = not isinstance(layout, str) and layout.kind == "last"
        base = plain(out)
        view = base.permute(0, 3, 1, 2) if last else base
        rows, columns = view.shape[2:]
        if min(rows, columns) == 1 and min(self.grid) > 1 and not first:
            return base  # a gate of rows, columns or all: it stands for no pixel
        noise = torch.Generator().manual_seed(number)
        if self.label == "one":
            self.injections[number] = Injection(rows, columns, area, tiles)
        made = self.injections[number]
        if before is not None and not first:
            self._compare(made, before.permute(0, 3, 1, 2) if last else before, noise)
        self.grid = (rows, columns)
        random = torch.randn(view.shape, generator=noise).to(view)
        slope = random * labels(self.label, rows, columns).to(view)
        return dual(base, slope.permute(0, 2, 3, 1).contiguous() if last else slope)

    def _compare(self, made: Injection, before: Tensor, noise: torch.Generator) -> None:
        cells = torch.randint(made.rows * made.columns, (SAMPLES,), generator=noise)
        rows, columns = cells // made.columns, cells % made.columns
        made.places = torch.stack([rows, columns], dim=1).float()
        found = before[0][:, rows.to(before.device), columns.to(before.device)].mT
        made.seen[self.label] = _few(found[None].float())[0]


def labels(label: Label, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    """The label of every cell, between 0 and 1."""
    i, j = torch.arange(rows)[:, None], torch.arange(columns)
    one = torch.ones(rows, columns)
    match label:
        case "row":
            return one * (i + 0.5) / rows
        case "column":
            return one * (j + 0.5) / columns
        case "fine row":
            return one * (i % FINE + 0.5) / FINE
        case "fine column":
            return one * (j % FINE + 0.5) / FINE
        case "random":
            noise = torch.Generator().manual_seed(1009 * rows + columns)
            return torch.rand(rows, columns, generator=noise)
    return one


def quotient(
    found: Float[Tensor, "*tokens few"], one: Float[Tensor, "*tokens few"]
) -> Float[Tensor, "*tokens"]:
    """The label of each token; 0 where there is none."""
    square = (one * one).sum(-1)
    label = (found * one).sum(-1) / square.clamp(min=1e-30)
    return torch.where(square > 1e-10 * square.max(), label, 0.0)


def dual(x: Tensor, tangent: Tensor) -> Tensor:
    """With a tangent."""
    make: Any = fw.make_dual
    found: Tensor = make(x, tangent)
    return found


def plain(x: Tensor) -> Tensor:
    """Without its tangent."""
    primal: Tensor = _unpack(x).primal
    return primal


def _tangent(x: Tensor) -> Tensor | None:
    tangent: Tensor | None = _unpack(x).tangent if x.is_floating_point() else None
    return tangent


def _few(x: Float[Tensor, "lead tokens channels"]) -> Float[Tensor, "lead tokens few"]:
    """Some random sums of the channels."""
    noise = torch.Generator().manual_seed(x.shape[-1])
    return x.float() @ torch.randn(x.shape[-1], CHANNELS, generator=noise).to(x.device)


def _projected(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Each output is one input and the mean of all."""
    index = torch.arange(len(weight), device=x.device) % x.shape[-1]
    return x.index_select(-1, index) + x.mean(-1, keepdim=True)


def _convolved(func: Any, args: Any, options: dict[str, Any]) -> Tensor:
    """The same reach, with a few channels alone."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = dict(zip(names, args, strict=False)) | options
    x, weight = given["input"], given["weight"]
    if _tangent(x) is None:
        return func(*args, **options)
    axis = x.ndim - 3
    few = min(CHANNELS, x.shape[axis])
    steps = (x.shape[axis] / few * torch.arange(few)).long().to(x.device)
    some = x.index_select(axis, steps) + x.mean(axis, keepdim=True)
    noise = torch.Generator().manual_seed(few)
    taps = torch.rand(few, 1, *weight.shape[2:], generator=noise).to(x) + 0.5
    taps = 0.2 * taps / taps[0].numel()  # mostly the middle, so that the place is sharp
    taps[..., taps.shape[2] // 2, taps.shape[3] // 2] += 1
    given |= {"weight": taps, "bias": None, "groups": few, "input": some}
    out: Tensor = func(**given)
    index = torch.arange(len(weight), device=x.device) % few
    return out.index_select(axis, index)


def _averaged(
    input: Tensor,  # the name that torch gives it
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The mean of what a pooling takes the largest of."""
    out = F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad=False)
    return input + 0.2 * out if out.shape == input.shape else out


def _pointwise(name: str, args: Any, options: dict[str, Any]) -> bool:
    """Whether it is a convolution of single pixels."""
    if name != "conv2d":
        return False
    weight = args[1] if len(args) > 1 else options["weight"]
    stride = args[3] if len(args) > 3 else options.get("stride", 1)
    steps = (stride,) if isinstance(stride, int) else tuple(stride)
    return weight.shape[2:].numel() == 1 and max(steps) == 1


def _tiles(name: str, args: Any, options: dict[str, Any]) -> bool:
    """Whether it is a convolution whose steps are as long as its kernel."""
    if name != "conv2d":
        return False
    weight = args[1] if len(args) > 1 else options["weight"]
    stride = args[3] if len(args) > 3 else options.get("stride", 1)
    return tuple(weight.shape[2:]) == ((stride,) * 2 if isinstance(stride, int) else tuple(stride))


def _blank(func: Any, args: Any, options: dict[str, Any]) -> Tensor:
    """Zeros of the shape of the result, which is not computed."""
    given = [x for x in [*args, *options.values()] if isinstance(x, Tensor)]
    listed = [x for x in args if isinstance(x, list | tuple)]
    like = [*given, *(x for some in listed for x in some if isinstance(x, Tensor))][0]

    def shape(x: Any) -> Any:
        if isinstance(x, list | tuple):
            return [shape(one) for one in x]
        return plain(x).to("meta") if isinstance(x, Tensor) else x

    out = func(*(shape(x) for x in args), **{name: shape(x) for name, x in options.items()})
    return torch.zeros(out.shape, dtype=out.dtype, device=like.device)
