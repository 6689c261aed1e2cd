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

from pixelwise.explanation.host_areas import Change, step_of
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
    sides: list[float]
    """What it covers of the picture, in pixels: guessed until the labels before are asked."""
    lost: bool = False
    """Whether the labels before say that it lies elsewhere."""
    places: Float[Tensor, "samples 2"] | None = None
    """Row and column of some cells, and what the labels before say of them."""
    seen: dict[Label, Float[Tensor, "samples channels"]] = field(default_factory=dict)

    @property
    def area(self) -> Area:
        """What it covers."""
        return self.sides[0], self.sides[1]


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
        injections: Of the passes before, by number; the first adds them.
        readings: The same, of attentions.
        logits: Numbers of the products that are logits of attention, and which factor holds the
            queries.
        most: Attentions of the network; the pass ends with the last one.
        refused: Maps that do not lie where their labels would say, by the number of the function
            that made them.
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
        """Functions of what has labels so far: the same in every pass, whatever is kept of one for
        the next, like masks."""
        self.image = (1, 1)
        self.grid = (1, 1)
        self.extent: Area | None = None
        """In what labels count: rows and columns of the picture."""
        self._carried: list[Tensor | None] = []
        self._shunned: set[tuple[int, ...]] = set()
        """Shapes that only look like a smaller map."""

    def root(self, image: Float[Tensor, "1 c h w"], area: Area) -> Tensor:
        """Give the picture, or what a network makes of it at first, its labels."""
        image, self.image = plain(image), (image.shape[2], image.shape[3])
        self.extent = self.extent or area
        self.count += 1
        return self._inject(image, area=area)

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
        elif name == "max_pool2d" and _tangent(args[0] if args else options["input"]) is not None:
            out = _picked(func, *args, **options)
        else:
            out = func(*args, **options)
        if isinstance(out, Tensor) and _tangent(out) is not None:
            self.count += 1
        if name in REDUCING and self._pooled(out, args):
            return plain(out)
        if isinstance(out, Tensor) and out.ndim == 4 and len(out) == 1:
            mixes = any(word in name for word in MIXING) and not _pointwise(name, args, options)
            if mixes or self._merged(out, args[0] if args else None):
                change = _change(name, args, options) if mixes else self._merging(args)
                return self._inject(out, change)
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
        self.count += 1
        tangent = None if given is None else _tangent(given)
        if tangent is None or not isinstance(output, Tensor):
            return output
        if tangent.shape == output.shape:
            return dual(output, tangent)
        if tangent.ndim != 4 or output.ndim != 4:
            return output
        size, before = output.shape[2:], tangent.shape[2:]
        index = torch.arange(output.shape[1], device=tangent.device) % tangent.shape[1]
        carried = F.interpolate(tangent.index_select(1, index), size, mode="nearest-exact")
        return self._inject(dual(output, carried), Change(resized=(before[0], before[1])))

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
        if size is None or _tangent(out) is None or tuple(out.shape) in self._shunned:
            return False
        before = [self.grid, self._size(given) if isinstance(given, Tensor) else None]
        return any(
            other is not None and all(a <= 0.75 * b for a, b in zip(size, other, strict=True))
            for other in before
        )

    def _merging(self, args: Any) -> Change:
        """From which maps it may have been made."""
        size = self._size(args[0]) if args and isinstance(args[0], Tensor) else None
        return Change(merged=(self.grid,) if size is None else (self.grid, size))

    def _size(self, x: Tensor) -> tuple[int, int] | None:
        """Rows and columns of a map of the picture."""
        if x.ndim != 4:
            return None
        layout = find_layout(tuple(x.shape), self.image, 1, None)
        return None if isinstance(layout, str) else layout.size(tuple(x.shape), self.image)

    def _inject(
        self, out: Tensor, change: Change | None = None, area: Area | None = None
    ) -> Tensor:
        """New labels for a map, unless it has none yet or is refused."""
        before = None if area is not None else _tangent(out)
        if before is None and area is None:
            return out
        number = self.count
        if number in self.refused:
            self._shunned.add(tuple(out.shape))
            return out
        layout = find_layout(tuple(out.shape), self.image, 1, None)
        last = not isinstance(layout, str) and layout.kind == "last"
        base = plain(out)
        view = base.permute(0, 3, 1, 2) if last else base
        rows, columns = view.shape[2:]
        if min(rows, columns) == 1 and min(self.grid) > 1 and area is None:
            return base  # a gate of rows, columns or all: it stands for no pixel
        assert self.extent is not None
        noise = torch.Generator().manual_seed(number)
        if self.label == "one":
            self.injections[number] = Injection(rows, columns, list(area or self.extent))
        if number not in self.injections:
            raise RuntimeError("one forward pass differs from the next")
        made = self.injections[number]
        if before is not None:
            self._compare(made, before.permute(0, 3, 1, 2) if last else before, noise)
            if self.label in ("row", "column"):
                self._measure(number, change or Change(), int(self.label == "column"))
        self.grid = (rows, columns)
        random = torch.randn(view.shape, generator=noise).to(view)
        share = (made.area[0] / self.extent[0], made.area[1] / self.extent[1])
        slope = random * labels(self.label, rows, columns, share).to(view)
        return dual(base, slope.permute(0, 2, 3, 1).contiguous() if last else slope)

    def _compare(self, made: Injection, before: Tensor, noise: torch.Generator) -> None:
        cells = torch.arange(made.rows * made.columns)
        if len(cells) > SAMPLES:
            cells = torch.randint(len(cells), (SAMPLES,), generator=noise)
        rows, columns = cells // made.columns, cells % made.columns
        made.places = torch.stack([rows, columns], dim=1).float()
        found = before[0][:, rows.to(before.device), columns.to(before.device)].mT
        made.seen[self.label] = found.float()

    def _measure(self, number: int, change: Change, axis: int) -> None:
        """What a map covers along an axis, by the labels before."""
        made = self.injections[number]
        assert self.extent is not None
        assert made.places is not None
        one = made.seen["one"]
        square = (one * one).sum(-1)
        some = square > 1e-6 * square.max()
        said = (made.seen[self.label] * one).sum(-1) / square.clamp(min=1e-30)
        earlier = [self.injections[n] for n in sorted(self.injections) if n < number]
        known = [x.sides[axis] / (x.rows, x.columns)[axis] for x in earlier]
        count = (made.rows, made.columns)[axis]
        place = made.places[:, axis].to(one.device)
        steps = change.steps(axis, known, count)
        step, sure = step_of(place[some], said[some] * self.extent[axis], count, steps)
        made.sides[axis] = step * count
        made.lost = made.lost or not sure


def labels(
    label: Label, rows: int, columns: int, share: Area = (1.0, 1.0)
) -> Float[Tensor, "rows columns"]:
    """The label of every cell of a map that covers a `share` of the picture's sides."""
    i, j = torch.arange(rows)[:, None], torch.arange(columns)
    one = torch.ones(rows, columns)
    match label:
        case "row":
            return one * (i + 0.5) / rows * share[0]
        case "column":
            return one * (j + 0.5) / columns * share[1]
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
    taps = torch.zeros(few, 1, *weight.shape[2:]).to(x)
    taps[..., taps.shape[2] // 2, taps.shape[3] // 2] = 1  # the middle, so that places stay sharp
    given |= {"weight": taps, "bias": None, "groups": few, "input": some}
    out: Tensor = func(**given)
    index = torch.arange(len(weight), device=x.device) % few
    return out.index_select(axis, index)


def _picked(
    func: Any,
    input: Tensor,  # the name that torch gives it
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The middle of what a pooling takes the largest of."""
    options = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    out = func(plain(input).to("meta"), kernel_size, stride, **options)
    sizes, steps = _two(kernel_size), _two(stride or kernel_size)
    for axis, kernel, step, pad, wide in zip(
        (-2, -1), sizes, steps, _two(padding), _two(dilation), strict=True
    ):
        middle = step * torch.arange(out.shape[axis]) - pad + wide * (kernel // 2)
        middle = middle.clamp(0, input.shape[axis] - 1).to(input.device)
        input = input.index_select(axis, middle)
    return input


def _two(value: Any) -> tuple[int, int]:
    """For rows and for columns."""
    if isinstance(value, int):
        return value, value
    return tuple(value) * 2 if len(value) == 1 else tuple(value)


def _change(name: str, args: Any, options: dict[str, Any]) -> Change:
    """Which steps the result of a convolution, a pooling or a resizing may have."""
    given = args[0] if args else options["input"]
    if name == "conv2d":
        return Change(_two(args[3] if len(args) > 3 else options.get("stride", 1)))
    if name == "conv_transpose2d":
        down, right = _two(args[3] if len(args) > 3 else options.get("stride", 1))
        return Change(stride=(1 / down, 1 / right))
    if name in ("max_pool2d", "avg_pool2d"):
        kernel = args[1] if len(args) > 1 else options["kernel_size"]
        stride = args[2] if len(args) > 2 else options.get("stride")
        return Change(_two(stride or kernel))
    if name == "pixel_shuffle":
        factor = args[1] if len(args) > 1 else options["upscale_factor"]
        return Change(stride=(1 / factor,) * 2)
    if name == "pixel_unshuffle":
        return Change(_two(args[1] if len(args) > 1 else options["downscale_factor"]))
    return Change(resized=(given.shape[-2], given.shape[-1]))


def _pointwise(name: str, args: Any, options: dict[str, Any]) -> bool:
    """Whether it is a convolution of single pixels."""
    if name != "conv2d":
        return False
    weight = args[1] if len(args) > 1 else options["weight"]
    stride = args[3] if len(args) > 3 else options.get("stride", 1)
    steps = (stride,) if isinstance(stride, int) else tuple(stride)
    return weight.shape[2:].numel() == 1 and max(steps) == 1


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
