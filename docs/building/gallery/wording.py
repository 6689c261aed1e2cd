"""What the box of a step says, and of which kind it is."""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from building.gallery.sizes import RUNS, named, scalar
from building.gallery.steps import Step
from pixelwise.layers.base import Layer

Namer = Callable[[Sequence[int]], str]
"""What a size is called that has these values in the runs."""

NORMS = {
    "BatchNorm1d": "batch norm",
    "BatchNorm2d": "batch norm",
    "SyncBatchNorm": "batch norm",
    "LayerNorm": "layer norm",
    "GroupNorm": "group norm",
    "layer_norm": "layer norm",
    "batch_norm": "batch norm",
    "group_norm": "group norm",
}
ACTIVATIONS = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "leakyrelu": "leaky ReLU",
    "hardswish": "hard swish",
    "silu": "SiLU",
    "gelu": "GELU",
    "elu": "ELU",
    "tanh": "tanh",
    "softplus": "softplus",
}
GATES = {"sigmoid": "sigmoid", "hardsigmoid": "hard sigmoid"}
PAIRS = {
    "mul": "×",
    "add": "+",
    "sub": "−",
    "rsub": "−",
    "div": "÷",
    "maximum": "max",
    "minimum": "min",
}
"""Functions of two tensors, or of a tensor and a number, and their signs."""
OVER = {
    "mean": "mean",
    "sum": "sum",
    "amax": "max",
    "max": "max",
    "amin": "min",
    "norm": "length",
    "vector_norm": "length",
    "logsumexp": "log-sum-exp",
    "std": "deviation",
    "var": "variance",
}
"""Functions over one axis or several."""
PRODUCTS = ("einsum", "matmul", "bmm", "mm", "mv", "baddbmm")
MOVES = {
    "interpolate": "resize",
    "pad": "pad",
    "roll": "roll",
    "cat": "concatenate",
    "concatenate": "concatenate",
    "stack": "stack",
    "unfold": "windows",
    "fold": "join windows",
    "gather": "read",
    "take_along_dim": "read",
    "index_select": "read",
    "grid_sample": "read between pixels",
    "selective_scan": "selective scan",
    "pixel_shuffle": "pixels from channels",
    "pixel_unshuffle": "channels from pixels",
    "masked_fill": "mask",
    "where": "choose",
    "avg_pool2d": "average pool",
    "adaptive_avg_pool2d": "average pool",
    "max_pool2d": "max pool",
    "adaptive_max_pool2d": "max pool",
}


def wording(
    steps: Sequence[Step],
    constants: Mapping[int, str] | None = None,
    sizes: Sequence[Mapping[str, int]] = RUNS,
) -> tuple[str, list[str]]:
    """The kind of a step and the lines of its box.

    Args:
        steps: The same step in every run.
        constants: Names of sizes that are the same in all runs.
        sizes: The sizes of the runs.
    """

    def size(values: Sequence[int]) -> str:
        name = named(values, sizes)
        return (constants or {}).get(int(name), name) if name.isdigit() else name

    step = steps[0]
    what = step.what.lower() if step.module is not None else step.what
    if step.what == "input":
        return "input", [step.name]
    if step.what in NORMS:
        return "norm", [NORMS[step.what]]
    if step.module is not None and (found := _convolution(steps, size)):
        return "convolution", found
    if what in ACTIVATIONS:
        return "activation", [ACTIVATIONS[what]]
    if what in GATES:
        return "gate", [GATES[what]]
    if what in ("softmax", "log_softmax"):
        return "softmax", [f"{what.replace('_', '-')} over {_axes(steps, size)}"]
    if what in PAIRS:
        return _pair(steps, PAIRS[what], sizes)
    if what in OVER and (over := _axes(steps, size)):
        return "pool", [f"{OVER[what]} over {over}"]
    if what in PRODUCTS:
        return "product", _product(steps, size)
    if what in MOVES:
        return "move", [_moved(step, MOVES[what])]
    if isinstance(step.module, Layer):
        return "layer", [_last(step.name), step.module.name]
    if step.module is not None and list(step.module.children()):
        return "convolution", [_last(step.name), *_inside(step.module)]
    if step.module is not None:
        return "other", [_last(step.name), "".join(_spaced(step.what))]
    return "other", [what.replace("_", " ")]


def _convolution(steps: Sequence[Step], size: Namer) -> list[str] | None:
    step = steps[0]
    module, name = step.module, _last(step.name)
    if isinstance(module, nn.Linear):
        places = [count for count in step.given[0].shape[:-1] if count > 1]
        return [name, "1×1 convolution" if places else "linear"]
    if not isinstance(module, nn.modules.conv._ConvNd):
        return None
    kernel = "×".join(str(count) for count in module.kernel_size)
    if isinstance(module, nn.Conv1d):
        kernel = "1×1" if kernel == "1" else f"{kernel}-tap"
    kind = "transposed convolution" if module.transposed else "convolution"
    lines = [name, f"{kernel} {kind}"]
    if module.groups > 1:
        whole = module.groups == module.in_channels
        groups = size([getattr(run.module, "groups", 1) for run in steps])
        lines.append("of each channel" if whole else f"in {groups} groups")
    for word, steps_of in (("dilated by", module.dilation), ("stride", module.stride)):
        if max(steps_of) > 1:
            lines.append(f"{word} {max(steps_of)}")
    return lines


def _inside(module: nn.Module) -> list[str]:
    """What a module with parts does, in a line or two."""
    if not isinstance(module, nn.Sequential):
        return ["".join(_spaced(type(module).__name__)).strip()]
    convolutions, rest = [], []
    for part in module.modules():
        if isinstance(part, nn.modules.conv._ConvNd):
            kernel = "×".join(str(count) for count in part.kernel_size)
            convolutions.append(f"{kernel} {'transposed ' * part.transposed}convolution")
        name = type(part).__name__
        word = NORMS.get(name) or ACTIVATIONS.get(name.lower()) or GATES.get(name.lower())
        rest += [word] if word and word not in rest else []
    lines = [
        f"{kind}, {convolutions.count(kind)} times" if convolutions.count(kind) > 1 else kind
        for kind in dict.fromkeys(convolutions)
    ]
    return [*lines[:2], ", ".join(rest)] if rest else lines[:2]


def _pair(
    steps: Sequence[Step], sign: str, sizes: Sequence[Mapping[str, int]]
) -> tuple[str, list[str]]:
    step = steps[0]
    moving = [given for given in step.given if given.step is not None]
    if len(moving) == 2:
        return "pair", [sign]
    constants = [name for given in step.given for name in given.names]
    if constants:
        return "scale", [f"{sign} {', '.join(dict.fromkeys(constants))}"]
    if len(step.given) == 1 and step.numbers:
        if sign == "+" and abs(step.numbers[0]) < 1e-3:
            return "scale", []  # keeps a division from one by zero
        number = scalar([run.numbers[0] for run in steps], sizes)
        first = step.what == "rsub"
        return "scale", [f"{number} {sign}" if first else f"{sign} {number}"]
    return "scale", [f"{sign} a constant"]


def _product(steps: Sequence[Step], size: Namer) -> list[str]:
    constants = [name for given in steps[0].given for name in given.names]
    line = "product" + (f" with {', '.join(constants)}" if constants else "")
    equation = steps[0].options.get("0")
    if isinstance(equation, str):
        before, after = equation.replace(" ", "").split("->")
        letters = dict.fromkeys(letter for letter in before if letter.isalpha())
        gone = [letter for letter in letters if letter not in after]
        terms = before.split(",")
        names = [size([_size(run, terms, letter) for run in steps]) for letter in gone]
    else:
        names = [size([run.given[0].shape[-1] for run in steps])]
    names = [name for name in names if name != "1"]
    return [line, f"summed over {', '.join(names)}"] if names else [line]


def _size(step: Step, terms: list[str], letter: str) -> int:
    for given, term in zip(step.given, terms, strict=True):
        if letter in term:
            return given.shape[term.index(letter)]
    raise ValueError(f"{letter!r} is in no term of {terms}")


def _axes(steps: Sequence[Step], size: Namer) -> str:
    options = steps[0].options
    dim = options.get("dim", options.get("1"))
    if dim is None:
        return "all" if steps[0].what not in ("max", "norm") else ""
    axes = [dim] if isinstance(dim, int) else list(dim)
    return ", ".join(size([run.given[0].shape[axis] for run in steps]) for axis in axes)


def _moved(step: Step, word: str) -> str:
    if word in ("stack", "concatenate") and len({given.step for given in step.given}) == 1:
        places = {given.place for given in step.given}
        if len(places) == 1:
            return f"{len(step.given)} parts side by side"
    return word


def _last(name: str) -> str:
    parts = [part for part in name.split(".") if not part.isdigit()]
    return parts[-1].replace("_", " ") if parts else ""


def _spaced(name: str) -> list[str]:
    return [f" {letter.lower()}" if letter.isupper() else letter for letter in name]
