"""Colours of marks; those of classes are the data's own."""

from pixelwise.data.classes import Colour

IGNORED: Colour = (127, 127, 127)
"""Where the truth does not count; striped with white where it is drawn."""
WRONG: Colour = (255, 176, 0)
LINES: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)
"""Lines of charts, told apart with any of the usual colour blindnesses (Okabe and Ito)."""
STYLES = ("-", "--", ":", "-.")


def line(number: int) -> tuple[tuple[float, ...], str]:
    """Colour and style of a chart's line of that number, as matplotlib has them."""
    colour = LINES[number % len(LINES)]
    return tuple(channel / 255 for channel in colour), STYLES[number % len(STYLES)]
