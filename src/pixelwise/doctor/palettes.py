"""Colours that published data sets draw their classes in."""

from collections.abc import Collection

from pixelwise.data.classes import parse_colour
from pixelwise.data.layouts import CITYSCAPES
from pixelwise.language import message


def voc(count: int = 256) -> list[int]:
    """VOC's colour of each class: its bits dealt out to red, green and blue, highest first."""
    colours = []
    for number in range(count):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
        colours.append(code(channels))
    return colours


def cityscapes() -> list[int]:
    """Cityscapes' colour of each of the 19 classes."""
    return [code(parse_colour(colour)) for _, colour in CITYSCAPES.values()]


def code(colour: Collection[int]) -> int:
    """0xrrggbb."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def shown(number: int) -> str:
    """As data.yaml has it: "#rrggbb"."""
    return f"#{number:06x}"


def known_ids(
    colours: Collection[int], classes: int, palette: Collection[int]
) -> tuple[str, dict[int, int]] | None:
    """Whose colours they are, and the class of each; None: nobody's that is known."""
    tables = [(message("the palette's"), [*palette])]
    if classes == 19:
        tables.append((message("Cityscapes'"), cityscapes()))
    tables.append((message("VOC's"), voc(max(classes, 2))))
    for whose, table in tables:
        ids = {colour: i for i, colour in enumerate(table)}
        if table and set(colours) - {0, 0xE0E0C0, 0xFFFFFF} <= ids.keys() and len(colours) > 1:
            return whose, {c: ids[c] for c in colours if c in ids}
    return None
