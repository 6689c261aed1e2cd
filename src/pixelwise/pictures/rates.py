"""The loss over a learning rate that rises."""

from collections.abc import Sequence

from pixelwise.pictures.colours import line
from pixelwise.pictures.figures import as_png, empty_figure


def rate_curve(
    rates: Sequence[float],
    losses: Sequence[float],
    smooth: Sequence[float],
    proposed: float | None,
) -> bytes:
    """Losses of batches, the smoothed loss, and the rate that is proposed, if any."""
    figure = empty_figure(6.4, 3.8)
    axes = figure.subplots()
    colour, style = line(0)
    axes.plot(rates, losses, ".", color="0.6", markersize=4, label="loss of a batch")
    axes.plot(rates, smooth, style, color=colour, linewidth=2, label="smoothed")
    if proposed is not None:
        mark, dashes = line(1)
        axes.axvline(proposed, color=mark, linestyle=dashes or "--", linewidth=1.6)
        at = min(range(len(rates)), key=lambda i: abs(rates[i] - proposed))
        axes.plot([proposed], [smooth[at]], "o", color=mark, label=f"proposed: {proposed:.2g}")
    low, high = min(losses, default=0.0), max(smooth, default=1.0)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - room, high + room))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return as_png(figure)
