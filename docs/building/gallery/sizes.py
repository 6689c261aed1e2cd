"""Names of sizes: what a size is, as the run with other channels and another map tells it.

A function is run several times; a size that is 256, 384 and 640 where the channels are 512, 768 and
1280 is c/2.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

RUNS: Sequence[Mapping[str, int]] = (
    {"c": 512, "h": 56, "w": 112},
    {"c": 768, "h": 112, "w": 168},
    {"c": 1280, "h": 168, "w": 56},
)
"""Sizes that windows of 7, cells of 8 and strides divide, and whose ratios differ."""
UNKNOWN = "m"


def named(values: Sequence[int], runs: Sequence[Mapping[str, int]] = RUNS) -> str:
    """What the values of a size in all runs have in common: `64`, `c/2`, `n`, `h + w`."""
    if len(set(values)) == 1:
        return str(values[0])
    own = {name: [run[name] for run in runs] for name in ("c", "h", "w") if name in runs[0]}
    bases = list(own.items())
    if "h" in own:
        pairs = list(zip(own["h"], own["w"], strict=True))
        bases += [("n", [h * w for h, w in pairs]), ("(h + w)", [h + w for h, w in pairs])]
    bases += [
        (f"c {name}", [c * size for c, size in zip(own["c"], sizes, strict=True)])
        for name, sizes in bases
        if "c" in own and name in ("h", "w", "n")
    ]
    for name, sizes in bases:
        ratios = {Fraction(value, size) for value, size in zip(values, sizes, strict=True)}
        if len(ratios) == 1:
            return _multiple(name, ratios.pop())
    for name, sizes in bases:
        for divisor in range(2, 33):
            if all(value == size // divisor for value, size in zip(values, sizes, strict=True)):
                return f"⌊{name}/{divisor}⌋"
    for name, sizes in bases:
        more = {value - size for value, size in zip(values, sizes, strict=True)}
        if len(more) == 1:
            extra = more.pop()
            return f"{name.strip('()')} {'+' if extra > 0 else '−'} {abs(extra)}"
    return UNKNOWN


def shape(
    shapes: Sequence[Sequence[int]],
    runs: Sequence[Mapping[str, int]] = RUNS,
    constants: Mapping[int, str] | None = None,
) -> str:
    """A shape without the axis of images, such as `c × h × w`.

    Args:
        shapes: In every run.
        runs: The sizes of the runs.
        constants: Names of sizes that are the same in all runs.
    """
    names = [named(values, runs) for values in zip(*shapes, strict=True)]
    if names and names[0] == "1":
        names = names[1:]
    said = {str(value): name for value, name in (constants or {}).items()}
    names = [said.get(name, name) for name in names]
    names = [f"({name})" if " + " in name or " − " in name else name for name in names]
    return " × ".join(names) or "1"


def scalar(values: Sequence[float], runs: Sequence[Mapping[str, int]] = RUNS) -> str:
    """A number: as it is, or as the square root of a size."""
    if len(set(values)) == 1:
        return f"{values[0]:.3g}" if values[0] >= 1e-3 or values[0] <= 0 else f"{values[0]:.0e}"
    for before, power in (("√", 2), ("1/√", -2), ("", 1), ("1/", -1)):
        sizes = [value**power for value in values]
        if all(math.isclose(size, round(size), rel_tol=1e-6) for size in sizes):
            name = named([round(size) for size in sizes], runs)
            if name != UNKNOWN:
                return before + (name if len(name) == 1 else f"({name})" if before else name)
    for under in (1, 2, 4, 8, 16) if "c" in runs[0] else ():
        over = [
            value * math.sqrt(run["c"] / under) for value, run in zip(values, runs, strict=True)
        ]
        if all(math.isclose(one, round(over[0]), rel_tol=1e-6) for one in over):
            return f"{round(over[0])}/√{'c' if under == 1 else f'(c/{under})'}"
    return "a number"


def _multiple(name: str, ratio: Fraction) -> str:
    over = name if ratio.numerator == 1 else f"{ratio.numerator} {name}"
    if ratio.denominator == 1:
        return over.strip("()") if ratio.numerator == 1 else over
    return f"{over}/{ratio.denominator}"
