"""Gates per channel, and what a prediction becomes while pixels are deleted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pixelwise.pictures.colours import line
from pixelwise.pictures.figures import as_png, empty_figure

_BARS = 64  # from here on gates are sorted, and drawn as one outline


def channel_gates(gates: Float[np.ndarray, " c"], *, unit: str = "gate, 0 to 1") -> bytes:
    """A bar per channel, in the channels' order; more than 64 are sorted and drawn as one outline.

    Args:
        gates: A value per channel.
        unit: What the values are.
    """
    figure = empty_figure(5.2, 2.6)
    axes = figure.subplots()
    colour = line(0)[0]
    if len(gates) <= _BARS:
        axes.bar(np.arange(len(gates)), gates, color=colour, width=0.8)
        axes.set_xlabel("channel")
    else:
        axes.stairs(np.sort(gates)[::-1], color=colour, fill=True, alpha=0.45)
        axes.stairs(np.sort(gates)[::-1], color=colour, linewidth=1.5)
        axes.set_xlabel(f"{len(gates)} channels, the largest first")
        axes.set_xlim(0, len(gates))
    axes.set_ylim(min(0.0, float(gates.min())) * 1.05, max(float(gates.max()) * 1.05, 1e-12))
    axes.set_ylabel(unit)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return as_png(figure)


def deletion_curves(
    shares: Sequence[float],
    attended: Sequence[float],
    random: Sequence[Sequence[float]],
    *,
    marked: float | None = None,
) -> bytes:
    """The prediction's probability while pixels are deleted: by a map, and in random orders.

    Args:
        shares: Of the pixels, from 0 to 1; drawn at equal distances.
        attended: Probabilities, the most attended pixels deleted first.
        random: The same for each random order; drawn as a band from least to most, and their mean.
        marked: One of the shares, to draw a line at.
    """
    figure = empty_figure(5.2, 3.0)
    axes = figure.subplots()
    places = np.arange(len(shares))
    if len(random):
        orders = np.asarray(random)
        band: dict[str, Any] = {
            "color": "0.75",
            "linewidth": 0,
            "label": f"{len(orders)} random orders",
        }
        axes.fill_between(places, orders.min(0), orders.max(0), **band)
        axes.plot(places, orders.mean(0), "--", color="0.3", linewidth=1.8, label="their mean")
    style: dict[str, Any] = {"color": line(0)[0], "linewidth": 2.0, "marker": "o", "markersize": 4}
    axes.plot(places, attended, "-", label="most attended first", **style)
    if marked is not None:
        axes.axvline(shares.index(marked), color="0.5", linestyle=":", linewidth=1)
    axes.set_xticks(places, [f"{100 * share:g}" for share in shares])
    axes.set_xlabel("pixels deleted, %")
    axes.set_ylabel("probability")
    highest = max(*attended, *(p for order in random for p in order), 1e-3)
    axes.set_ylim(-0.02 * highest, min(1.02, 1.15 * highest))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return as_png(figure)
