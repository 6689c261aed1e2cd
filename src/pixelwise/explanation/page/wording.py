"""What a page says below each map, in words and numbers."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pixelwise.explanation.page.tints import Tint
from pixelwise.explanation.result import ClassMap, Findings, Kind, LayerMap, ReceptiveField

KINDS: dict[Kind, str] = {
    "pixel": "this pixel's weights",
    "shared": "shared by all pixels",
    "channel": "channels only",
}
TIMES = "weight / mean\n1 = uniform"
NAMED = 3
"""So many names stand before a reason that several layers share."""
NO_ATTENTION = "This network used no attention that could be shown."
"""Said of an explanation without maps."""
METHODS = {
    "gradient": "gradient \N{MULTIPLICATION SIGN} features",
    "occlusion": "drop when covered",
}


def answer(explanation: Findings) -> str:
    """What was predicted, and where."""
    return f"{said(explanation)} at {place(explanation.at)}"


def said(explanation: Findings) -> str:
    """What was predicted."""
    return f"{explanation.class_name} ({100 * explanation.probability:.0f} %)"


def place(at: tuple[int, int]) -> str:
    """A pixel."""
    return f"row {at[0]}, column {at[1]}"


def without_attention(found: Findings) -> str:
    """What is shown of a network without attention, and that it is none."""
    shown = [] if found.receptive is None else ["the effective receptive field"]
    shown += [f"the {one.method} map" for one in found.class_maps]
    if not shown:
        return NO_ATTENTION
    listed = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    verb = "is" if len(shown) == 1 else "are"
    return (
        f"{NO_ATTENTION} What is shown {verb} {listed}, which {verb} not attention: nothing in "
        "the network weighs places by it."
    )


def nearly_uniform(found: LayerMap) -> bool:
    """Whether weights differ by less than a tenth: the layer looks everywhere alike."""
    if found.spatial is None or found.spatial.numel() == 1:
        return False
    low, high = found.spatial.min().item(), found.spatial.max().item()
    return low >= 0 and high - low < 0.1 * high


def with_unit(values: Float[Tensor, "..."], kind: Kind) -> tuple[Float[np.ndarray, "..."], str]:
    """A pixel's weights, and others that sum to 1, in multiples of their mean; and the unit."""
    found = values.double().numpy()
    weights = kind == "pixel" or abs(found.sum() - 1) < 1e-2
    if weights and found.size > 1 and found.min() >= 0 and found.max() > 0:
        return found / found.mean(), TIMES
    within = found.min() >= 0 and found.max() <= 1
    name = "weight" if kind == "pixel" else "gate"
    return found, f"{name}, 0 to 1" if within else name


def about(found: LayerMap) -> str:
    """What a layer's map is."""
    note = f"{found.key}, {KINDS[found.kind]}"
    if found.key == "rollout":
        note = "composed across layers"
    if found.gain == 0:
        note += ", no effect yet"
    elif found.kind == "pixel" and nearly_uniform(found):
        note += ", nearly uniform"
    return note


def measured(
    values: Float[np.ndarray, "h w"],
    shown: Float[np.ndarray, "h w"],
    tint: Tint,
    unit: str,
    covers: tuple[float, float],
    size: tuple[int, int],
) -> Iterable[str]:
    """Peak, mean and the colours' ends.

    Args:
        values: The map.
        shown: The same in multiples of its mean, or as it is.
        tint: The colours of `shown`.
        unit: Of `shown`.
        covers: Rows and columns of the picture that it lies on.
        size: Of the picture.
    """
    if not np.isfinite(shown).any():
        return ["no finite values"]
    times = " \N{MULTIPLICATION SIGN} mean" if unit == TIMES else ""
    index = np.unravel_index(np.nanargmax(shown), shown.shape)
    row, column = (
        int((int(i) + 0.5) * area / side)
        for i, area, side in zip(index, covers, shown.shape, strict=True)
    )
    inside = row < size[0] and column < size[1]
    where = f"at {place((row, column))}" if inside else "beyond the picture's edge"
    return [
        f"peak {shown[index]:.3g}{times} {where}; mean {np.nanmean(values):.3g}",
        f"colours from {tint.low:.3g} to {tint.high:.3g}{times}",
    ]


def proven(found: LayerMap) -> Iterable[str]:
    """How exact the map of a network's own attention is, and what it leaves out."""
    lines = []
    if found.proof is not None:
        lines.append(
            f"weights \N{MULTIPLICATION SIGN} values = output to {short(found.proof)}"
            if found.proof
            else "weights \N{MULTIPLICATION SIGN} values = output, to the last bit"
        )
    if found.apart > 0:
        lines.append(
            f"{percent(found.apart)} of the weight is on tokens that are no pixels: class token, "
            "registers"
        )
    return lines


def grouped(notes: Iterable[str]) -> list[str]:
    """Notes "NAME: reason", one for each reason."""
    names: dict[str, list[str]] = {}
    for note in notes:
        name, _, reason = note.partition(": ")
        names.setdefault(reason, []).append(name)
    lines = []
    for reason, all_names in names.items():
        known = list(dict.fromkeys(all_names))
        more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
        lines.append(f"{', '.join(known[:NAMED])}{more}" + (f": {reason}" if reason else ""))
    return lines


def short(number: float) -> str:
    """A small number as 3e-7."""
    digits, _, power = f"{number:.0e}".partition("e")
    return f"{digits}e{int(power)}"


def percent(share: float) -> str:
    """A share, at least two of its digits."""
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


def reaching(found: ReceptiveField) -> Iterable[str]:
    """How far the influence on an answer comes from."""
    half, most = found.reaches
    lines = []
    if found.own == 1:
        return ["the answer depends on this pixel alone"]
    if half.radius is not None and most.radius is not None:
        lines = [
            f"half of the influence of other pixels comes from within {half.radius:.0f} pixels "
            f"({percent(half.area)} of the picture), nine tenths from within {most.radius:.0f} "
            f"({percent(most.area)}): the circles",
            f"the pixel itself has {percent(found.own)} of all influence",
        ]
    else:
        lines = [
            f"half of the influence comes from {percent(half.area)} of the picture's pixels, nine "
            f"tenths from {percent(most.area)}"
        ]
    return [*lines, "influence is the squared gradient of the logits; colours show its root"]


def baseline(found: ClassMap) -> str:
    """What a class map is."""
    return f"{METHODS[found.method]}, {found.place}"
