"""What a page says below each map, in words and numbers."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pixelwise.explanation.page.tints import Tint
from pixelwise.explanation.result import ClassMap, Findings, Kind, LayerMap, ReceptiveField
from pixelwise.language import message, spoken, translate

KINDS: dict[Kind, str] = {
    "pixel": message("this pixel's weights"),
    "shared": message("shared by all pixels"),
    "channel": message("channels only"),
}
TIMES = "weight / mean\n1 = uniform"
NAMED = 3
"""So many names stand before a reason that several layers share."""
NO_ATTENTION = message("This network used no attention that could be shown.")
"""Said of an explanation without maps."""
KIND_OF_MAP = {"gradient": message("gradient"), "occlusion": message("occlusion")}
METHODS = {
    "gradient": message("gradient \N{MULTIPLICATION SIGN} features"),
    "occlusion": message("drop when covered"),
}


def answer(explanation: Findings) -> str:
    """What was predicted, and where."""
    return translate("{answer} at {place}").format(
        answer=said(explanation), place=spoken(place(explanation.at))
    )


def said(explanation: Findings) -> str:
    """What was predicted."""
    return f"{explanation.class_name} ({100 * explanation.probability:.0f} %)"


def place(at: tuple[int, int]) -> str:
    """A pixel."""
    return message("row {at}, column {at2}", at=at[0], at2=at[1])


def without_attention(found: Findings) -> str:
    """What is shown of a network without attention, and that it is none."""
    shown = [] if found.receptive is None else [translate("the effective receptive field")]
    shown += [
        translate("the {method} map").format(method=spoken(KIND_OF_MAP[one.method]))
        for one in found.class_maps
    ]
    if not shown:
        return spoken(NO_ATTENTION)
    listed = translate(" and ").join(
        [translate(", ").join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown
    )
    verb = translate("is") if len(shown) == 1 else translate("are")
    return translate(
        "{no_attention} What is shown {verb} {listed}, which {verb} not"
        " attention: nothing in the network weighs places by it."
    ).format(no_attention=spoken(NO_ATTENTION), verb=verb, listed=listed)


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
    name = message("weight") if kind == "pixel" else message("gate")
    return found, name + message(", 0 to 1") if within else name


def about(found: LayerMap) -> str:
    """What a layer's map is."""
    note: str = message("{key}, {kind}", key=found.key, kind=KINDS[found.kind])
    if found.key == "rollout":
        note = message("composed across layers")
    if found.gain == 0:
        note += message(", no effect yet")
    elif found.kind == "pixel" and nearly_uniform(found):
        note += message(", nearly uniform")
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
        return [translate("no finite values")]
    times = translate(" \N{MULTIPLICATION SIGN} mean") if unit == TIMES else ""
    index = np.unravel_index(np.nanargmax(shown), shown.shape)
    row, column = (
        int((int(i) + 0.5) * area / side)
        for i, area, side in zip(index, covers, shown.shape, strict=True)
    )
    inside = row < size[0] and column < size[1]
    where = (
        translate("at {place}").format(place=spoken(place((row, column))))
        if inside
        else translate("beyond the picture's edge")
    )
    return [
        translate("peak {shown:.3g}{times} {where}; mean {nanmean:.3g}").format(
            shown=shown[index], times=times, where=where, nanmean=np.nanmean(values)
        ),
        translate("colours from {low:.3g} to {high:.3g}{times}").format(
            low=tint.low, high=tint.high, times=times
        ),
    ]


def proven(found: LayerMap) -> Iterable[str]:
    """How exact the map of a network's own attention is, and what it leaves out."""
    lines = []
    if found.proof is not None:
        lines.append(
            translate("weights \N{MULTIPLICATION SIGN} values = output to {short}").format(
                short=short(found.proof)
            )
            if found.proof
            else translate("weights \N{MULTIPLICATION SIGN} values = output, to the last bit")
        )
    if found.apart > 0:
        lines.append(
            translate(
                "{percent} of the weight is on tokens that are no pixels: class token, registers"
            ).format(percent=percent(found.apart))
        )
    return lines


def grouped(notes: Iterable[str]) -> list[str]:
    """Notes "NAME: reason", one for each reason."""
    names: dict[str, list[str]] = {}
    for note in notes:
        name, _, reason = note.partition(": ")
        names.setdefault(translate(reason), []).append(name)
    lines = []
    for reason, all_names in names.items():
        known = list(dict.fromkeys(all_names))
        more = (
            translate(" and {named} more").format(named=len(known) - NAMED)
            if len(known) > NAMED
            else ""
        )
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
        return [translate("the answer depends on this pixel alone")]
    if half.radius is not None and most.radius is not None:
        lines = [
            translate(
                "half of the influence of other pixels comes from within {radius:.0f}"
                " pixels ({percent} of the picture), nine tenths from within"
                " {radius2:.0f} ({percent2}): the circles"
            ).format(
                radius=half.radius,
                percent=percent(half.area),
                radius2=most.radius,
                percent2=percent(most.area),
            ),
            translate("the pixel itself has {percent} of all influence").format(
                percent=percent(found.own)
            ),
        ]
    else:
        lines = [
            translate(
                "half of the influence comes from {percent} of the picture's pixels,"
                " nine tenths from {percent2}"
            ).format(percent=percent(half.area), percent2=percent(most.area))
        ]
    return [
        *lines,
        translate("influence is the squared gradient of the logits; colours show its root"),
    ]


def baseline(found: ClassMap) -> str:
    """What a class map is."""
    return translate("{method}, {place}").format(
        method=spoken(METHODS[found.method]), place=spoken(found.place)
    )
