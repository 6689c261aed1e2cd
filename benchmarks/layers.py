"""Time and memory of the layers beside plain textbook forms of the same mechanisms.

    python benchmarks/layers.py [--size 1x512x64x128] [--layers psa_p pam] [--out layers.csv]

Each (layer, mode) runs in a process of its own, in which the two forms take turns; medians are
reported. Memory is the peak resident size above the state before the first full-size call, each
in a fresh process. The plain forms are the equations in the head of each layer's file, written
with the operations that one would reach for first; they share the layer's parameters.
"""

import argparse
import functools
import importlib
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import machine
from pixelwise.layers.base import AttentionLayer, FusionLayer, Layer
from pixelwise.layers.registry import create

MODES = ("forward", "train")
WARM_UP, SECONDS, LEAST = 1, 2.5, 3


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution with a matrix as its weight."""
    return F.conv2d(x, weight.reshape(*weight.shape[:2], 1, 1), bias)


def polarized_channel_gate(layer: AttentionLayer, x: Tensor) -> Tensor:
    value = conv(x, layer.channel_value.weight).flatten(2)
    weights = conv(x, layer.channel_query.weight).flatten(2).softmax(-1)
    return torch.matmul(value, weights.mT)[..., 0]


def plain_psa_p(layer: AttentionLayer, x: Tensor) -> Tensor:
    channel = layer.expand(polarized_channel_gate(layer, x)).sigmoid()[:, :, None, None]
    query = conv(x, layer.spatial_query.weight).mean((2, 3))[:, None]
    value = conv(x, layer.spatial_value.weight).flatten(2)
    spatial = torch.matmul(query, value).softmax(-1).view(len(x), 1, *x.shape[2:]).sigmoid()
    return x * channel + x * spatial


def plain_psa_s(layer: AttentionLayer, x: Tensor) -> Tensor:
    hidden = layer.norm(layer.reduce(polarized_channel_gate(layer, x))).relu()
    x = x * layer.expand(hidden).sigmoid()[:, :, None, None]
    query = conv(x, layer.spatial_query.weight).mean((2, 3))[:, None]
    value = conv(x, layer.spatial_value.weight).flatten(2).softmax(-1)
    return x * torch.matmul(query, value).view(len(x), 1, *x.shape[2:]).sigmoid()


def plain_pam(layer: AttentionLayer, x: Tensor) -> Tensor:
    parts = (layer.query, layer.keys, layer.value)
    query, key, value = (conv(x, part.weight, part.bias).flatten(2) for part in parts)
    weights = torch.bmm(query.mT, key).softmax(-1)
    return layer.gain * torch.bmm(value, weights.mT).view_as(x) + x


def plain_cam(layer: AttentionLayer, x: Tensor) -> Tensor:
    flat = x.flatten(2)
    likeness = torch.bmm(flat, flat.mT)
    weights = (likeness.max(-1, keepdim=True)[0].expand_as(likeness) - likeness).softmax(-1)
    return layer.gain * torch.bmm(weights, flat).view_as(x) + x


def plain_coord(layer: AttentionLayer, x: Tensor) -> Tensor:
    rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).mT
    pooled = torch.cat([rows, columns], 2)
    hidden = layer.norm(conv(pooled, layer.reduce.weight, layer.reduce.bias)[..., 0])[..., None]
    hidden = hidden * F.relu6(hidden + 3) / 6
    rows, columns = hidden.split([x.shape[2], x.shape[3]], 2)
    row_gate = conv(rows, layer.expand_rows.weight, layer.expand_rows.bias).sigmoid()
    gate = conv(columns.mT, layer.expand_columns.weight, layer.expand_columns.bias).sigmoid()
    return x * gate * row_gate


def plain_gc(layer: AttentionLayer, x: Tensor) -> Tensor:
    weights = conv(x, layer.score.weight, layer.score.bias).flatten(2).softmax(-1)
    context = torch.matmul(x.flatten(2)[:, None], weights[..., None])[:, 0, :, 0]
    return x + layer.add(context)[:, :, None, None]


PLAIN: dict[str, Callable[..., Tensor]] = {
    "psa_p": plain_psa_p,
    "psa_s": plain_psa_s,
    "pam": plain_pam,
    "cam": plain_cam,
    "coord": plain_coord,
    "gc": plain_gc,
}
for file in sorted(Path(__file__).parent.glob("plain_*.py")):
    PLAIN |= importlib.import_module(file.stem).PLAIN

CASES: dict[str, tuple[str, dict[str, object]]] = {key: (key, {}) for key in PLAIN} | {
    "nonlocal gaussian": ("nonlocal", {"mode": "gaussian"}),
    "nonlocal dot": ("nonlocal", {"mode": "dot_product"}),
    "nonlocal concat": ("nonlocal", {"mode": "concatenation"}),
    "crisscross": ("crisscross", {"recurrence": 1}),
    "gc": ("gc", {"reduction": 16}),
    "psanet": ("psanet", {"reduction": 1, "mask_size": (63, 127), "shrink": 1}),
}
"""Name -> layer and options; widths as in the authors' networks otherwise."""
SMALLER = {"nonlocal concat": 4}
"""Sides of the map are divided by this: the plain form would need more memory than there is."""


def inputs(layer: Layer, size: list[int], **kind: torch.dtype) -> list[Tensor]:
    """A map of this size, or the next that the layer takes; a guide is as large."""
    least, multiple, images = layer.limits
    sides = [-(-max(side, least) // multiple) * multiple for side in size[2:]]
    shape = (max(size[0], images if layer.training else 1), size[1], *sides)
    return [torch.randn(shape, **kind) for _ in range(1 + isinstance(layer, FusionLayer))]


def prepare(
    name: str, mode: str, size: list[int]
) -> tuple[dict[str, Callable[[], None]], Callable[[], float]]:
    """The two forms as calls without arguments, and a call that returns their difference."""
    torch.manual_seed(0)
    key, options = CASES[name]
    layer = create(key, size[1], **options).train(mode == "train")
    with torch.no_grad():  # a gain of zero would let a form leave out its work
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    given = inputs(layer, size)
    learnt = [parameter for parameter in layer.parameters() if parameter.requires_grad]

    def call(form: Callable[..., Tensor]) -> Callable[[], None]:
        def forward() -> None:
            with torch.no_grad():
                form(*given)

        def train() -> None:
            images = [x.detach().requires_grad_() for x in given]
            y = form(*images)
            torch.autograd.grad(y, [*images, *learnt], torch.ones_like(y))

        return train if mode == "train" else forward

    def difference() -> float:
        double = layer.double().eval()
        small = inputs(double, [1, size[1], 9, 7], dtype=torch.float64)
        plain, lean = PLAIN[key](double, *small), double(*small)
        return ((plain - lean).abs().max() / plain.abs().max()).item()

    forms = {"plain": call(functools.partial(PLAIN[key], layer)), "lean": call(layer)}
    return forms, difference


def seconds(name: str, mode: str, size: list[int]) -> dict[str, float]:
    """Median seconds of each form, the two in turns."""
    forms, difference = prepare(name, mode, size)
    taken: dict[str, list[float]] = {form: [] for form in forms}
    stop = None
    while stop is None or time.perf_counter() < stop or len(taken["lean"]) < LEAST + WARM_UP:
        for which, form in forms.items():
            start = time.perf_counter()
            form()
            taken[which].append(time.perf_counter() - start)
        stop = stop or time.perf_counter() + SECONDS
    assert difference() < 1e-10, f"the two forms of {name} differ"
    return {form: statistics.median(times[WARM_UP:]) for form, times in taken.items()}


def megabytes(name: str, mode: str, size: list[int], form: str) -> float:
    """Peak memory of one call of one form above the state before it."""
    small, _ = prepare(name, mode, [size[0], size[1], 4, 4])
    small[form]()  # libraries allocate their own on the first call
    forms, _ = prepare(name, mode, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    forms[form]()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def alone(function: Callable, *arguments: object) -> object:
    """Call a function in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--size", default="1x512x64x128", help="batch x channels x height x width")
    parser.add_argument("--layers", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--out", type=Path, help="CSV file to write")
    options = parser.parse_args()
    size = [int(part) for part in options.size.split("x")]
    rows = []
    heads = ("plain ms", "lean ms", "ratio", "plain MB", "lean MB")
    print(f"{'layer':22}{'mode':8}" + "".join(f"{name:>10}" for name in heads))
    for key in options.layers:
        sides = [side // SMALLER.get(key, 1) for side in size[2:]]
        shape = [*size[:2], *sides]
        for mode in MODES:
            took = alone(seconds, key, mode, shape)
            memory = {form: alone(megabytes, key, mode, shape, form) for form in took}
            ratio = took["plain"] / took["lean"]
            rows.append(
                {
                    "layer": key,
                    "mode": mode,
                    "size": "x".join(map(str, shape)),
                    "plain_ms": round(1e3 * took["plain"], 2),
                    "lean_ms": round(1e3 * took["lean"], 2),
                    "ratio": round(ratio, 2),
                    "plain_mb": round(memory["plain"], 1),
                    "lean_mb": round(memory["lean"], 1),
                }
            )
            times = f"{1e3 * took['plain']:10.1f}{1e3 * took['lean']:10.1f}{ratio:9.2f}x"
            sizes = f"{memory['plain']:10.0f}{memory['lean']:10.0f}"
            print(f"{key:22}{mode:8}{times}{sizes}", flush=True)
    if options.out:
        machine.write(options.out, rows)


if __name__ == "__main__":
    main()
