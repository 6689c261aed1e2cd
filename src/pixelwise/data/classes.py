"""The classes of a data set: their names, colours, and the value that does not count."""

import colorsys
import re
from dataclasses import dataclass

from pixelwise.errors import InputError

Colour = tuple[int, int, int]

# Okabe and Ito's colours, told apart with any of the usual colour blindnesses.
OKABE_ITO: tuple[Colour, ...] = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def several(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of classes, of which every pixel has one.

    Raises:
        InputError: Fewer than two, so that there is nothing to tell apart.
    """
    if len(names) < 2:
        raise InputError(f"names={list(names)}: must be at least two; add the other class")
    return names


@dataclass(frozen=True)
class Classes:
    """Names and colours by class id, and the mask value that neither loss nor metric counts.

    Args:
        names: One name per class id 0..k-1, or per point, label or band.
        palette: One (red, green, blue) per class, each 0..255.
        ignore_index: Mask value of pixels that do not count; not a class id.

    Raises:
        InputError: No name, a repeated name, another number of colours than
            names, or an ignore_index that is a class id.
    """

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    ignore_index: int = 255

    def __post_init__(self) -> None:
        if not self.names:
            raise InputError("names=[]: must be at least one; list them")
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise InputError(f"names: {sorted(twice)[0]!r} occurs twice; rename one")
        if len(self.palette) != len(self.names):
            raise InputError(
                f"palette: has {len(self.palette)} colours for {len(self.names)} classes; "
                "give one per class"
            )
        if not len(self.names) <= self.ignore_index <= 65535:
            raise InputError(
                f"ignore_index={self.ignore_index}: must not be a class id, and fit in a mask; "
                f"take one from {len(self.names)} to 65535, usually 255"
            )

    def __len__(self) -> int:
        """How many classes."""
        return len(self.names)


def default_palette(count: int) -> tuple[Colour, ...]:
    """`count` distinct colours: Okabe and Ito's eight, then hues a golden angle apart."""
    more = []
    for i in range(len(OKABE_ITO), count):
        hue, lightness = i * 0.618034 % 1, (0.35, 0.55, 0.75)[i % 3]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.65)
        more.append((round(red * 255), round(green * 255), round(blue * 255)))
    return (*OKABE_ITO, *more)[:count]


def parse_colour(value: object) -> Colour:
    """(red, green, blue) from "#rrggbb" or three numbers 0..255.

    Raises:
        InputError: Anything else.
    """
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
    if isinstance(value, list | tuple) and len(value) == 3:
        red, green, blue = value
        if all(type(v) is int and 0 <= v <= 255 for v in value):
            return red, green, blue
    raise InputError(
        f'colour={value!r}: must be "#rrggbb" or three numbers from 0 to 255; e.g. "#ff0000"'
    )
