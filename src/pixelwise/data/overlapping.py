"""How masks hold labels that overlap: `overlapping:` of a data.yaml, beside `names:`.

overlapping: files                           # a mask per label, road/a.png: 0 and 1, or 0 and 255
masks: "*_{name}.png"                        # where they are called otherwise
missing_masks: empty                         # empty, ignore or error (usual) for absent files

overlapping: bands                           # a band per label, in the order of `names`

overlapping: colours                         # a colour per combination of labels; black is none
colours: {"#ff0000": road, "#ffff00": [road, marking], "#808080": ignore}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelwise.data.classes import Colour, parse_colour
from pixelwise.errors import InputError, unknown

HOW = ("files", "bands", "colours")
MISSING = ("error", "empty", "ignore")
BLACK: Colour = (0, 0, 0)
WHITE = 255
NAME = "{name}"
ELSEWHERE = {
    "values": "numbers",
    "values_nodata": "numbers",
    "points": "points",
    "labels": "points",
    "layout": "classes",
}
"""Keys of other kinds of data sets -> what they are for."""


@dataclass(frozen=True)
class LabelFiles:
    """Where the mask of a picture and a label lies.

    Args:
        pictures: Pattern of the pictures' names, with a star.
        masks: Pattern below the folder of masks, with a star for the picture's place without its
            suffix, and {name} for the label; without a suffix, any suffix fits.
    """

    pictures: str = "*"
    masks: str = f"{NAME}/*"

    @classmethod
    def parse(cls, value: object) -> "LabelFiles":
        """From `masks:` of a data.yaml.

        Raises:
            InputError: Anything but a pattern, or one of pictures and one of masks.
        """
        if value is None:
            return cls()
        pairs = [*value.items()] if isinstance(value, dict) else [("*", value)]
        patterns: list[Any] = [pattern for pair in pairs for pattern in pair]
        good = len(pairs) == 1 and all(
            isinstance(p, str) and p.count("*") == 1 and not p.startswith("/") for p in patterns
        )
        if not good or patterns[1].count(NAME) != 1 or NAME in patterns[0]:
            raise InputError(
                f"masks={value!r}: must have one star for the picture's name and one {NAME} for the"
                f' label\'s; e.g. "*_{NAME}.png" or "{NAME}/*.png"'
            )
        return cls(*map(str, patterns))

    def mask_of(self, picture: str, label: str) -> str:
        """The mask of a label, below the folder of masks."""
        return re.sub(r"\*|\{name\}", lambda m: picture if m[0] == "*" else label, self.masks)

    def is_mask(self, place: Path, labels: tuple[str, ...]) -> bool:
        """Whether a file in the pictures' own folder is a mask."""
        names = "|".join(map(re.escape, labels))
        wanted = re.escape(self.masks).replace(r"\*", ".+").replace(re.escape(NAME), f"({names})")
        text = place if Path(self.masks).suffix else place.with_suffix("")
        return re.fullmatch(wanted, text.as_posix()) is not None


@dataclass(frozen=True)
class Overlapping:
    """A checked `overlapping:` and what goes with it.

    Args:
        how: One of `HOW`.
        values: Raw value -> 0, 1 or the ignore index, of files and bands.
        stated: Whether a `map:` says so.
        colours: Colour -> numbers of the labels; None: ignored.
        missing: What an absent file of a label means.
        names: Where files lie.
    """

    how: str
    values: Mapping[int, int]
    stated: bool = False
    colours: Mapping[Colour, tuple[int, ...] | None] = field(default_factory=dict)
    missing: str = "error"
    names: LabelFiles = field(default_factory=LabelFiles)


def parse_overlapping(
    content: Mapping[str, Any], names: tuple[str, ...], ignore_index: int
) -> Overlapping:
    """From a data.yaml with the key `overlapping:`.

    Raises:
        InputError: A key of another kind of data, or a value that cannot be.
    """
    how = content["overlapping"]
    if how not in HOW:
        raise InputError(
            f"overlapping={how!r}: must be files (one per label), bands, or colours; write one"
        )
    for key, ways in (
        ("map", ("files", "bands")),
        ("colours", ("colours",)),
        ("missing_masks", ("files",)),
    ):
        if key in content and how not in ways:
            raise InputError(
                f"{key}: is for `overlapping: {' or '.join(ways)}`, but it says {how}; remove one"
            )
    if ignore_index < 2:
        raise InputError(f"ignore_index={ignore_index}: must not be 0 or 1; leave it out for 255")
    missing = content.get("missing_masks", "error")
    if missing not in MISSING:
        raise InputError(f"missing_masks={missing!r}: must be {', '.join(MISSING)}; take one")
    return Overlapping(
        how=how,
        values=_values(content, ignore_index),
        stated="map" in content,
        colours=_colours(content.get("colours"), names) if how == "colours" else {},
        missing=missing,
        names=LabelFiles.parse(content.get("masks")) if how == "files" else LabelFiles(),
    )


def check_kind(content: Mapping[str, Any]) -> None:
    """Raise where keys for overlapping labels stand beside those of other data, or alone."""
    if "overlapping" in content:
        for key, what in ELSEWHERE.items():
            if key in content:
                raise InputError(
                    f"{key}: is for {what}, but `overlapping:` says several labels per pixel;"
                    " remove one"
                )
        return
    for key in ("colours", "missing_masks"):
        if key in content:
            raise InputError(
                f"{key}: is for several labels per pixel; add `overlapping:`, or remove it"
            )


def _values(content: Mapping[str, Any], ignore_index: int) -> dict[int, int]:
    if "map" not in content:
        # 255 means "there" beside 0, unless it is said to be the value that does not count.
        stated = {ignore_index: ignore_index} if "ignore_index" in content else {}
        return {0: 0, 1: 1, WHITE: 1, **stated}
    value = content["map"]
    if not isinstance(value, dict) or not value:
        raise InputError(f"map={value!r}: must be {{raw value: 0, 1 or ignore}}; e.g. {{255: 1}}")
    found: dict[int, int] = {}
    for raw, target in value.items():
        if type(raw) is not int:
            raise InputError(
                f"map: {raw!r} is no whole number; for colours: `overlapping: colours`"
            )
        if target == "ignore":
            target = ignore_index
        elif type(target) is not int or target not in (0, 1):
            raise InputError(
                f"map: sends {raw} to {target!r}; write 1 (there), 0 (not there) or ignore"
            )
        found[raw] = target
    return found


def _colours(value: object, names: tuple[str, ...]) -> dict[Colour, tuple[int, ...] | None]:
    if not isinstance(value, dict) or not value:
        raise InputError(
            f"colours={value!r}: must say which labels a colour means; e.g."
            f' {{"#ff0000": {names[0]}, "#000000": []}}'
        )
    found: dict[Colour, tuple[int, ...] | None] = {}
    for key, told in value.items():
        colour = parse_colour(key)
        if colour in found:
            raise InputError(f"colours: {key!r} occurs twice; keep one")
        found[colour] = None if told == "ignore" and "ignore" not in names else _labels(told, names)
    for number, name in enumerate(names):
        if not any(number in (labels or ()) for labels in found.values()):
            raise InputError(f"colours: none means {name!r}; add its colour, or remove the name")
    return {BLACK: (), **found}


def _labels(told: object, names: tuple[str, ...]) -> tuple[int, ...]:
    listed = told if isinstance(told, list) else [told]
    for name in listed:
        if isinstance(name, bool) or str(name) not in names:
            raise unknown("label", str(name), names, "in colours")
    texts = [str(name) for name in listed]
    if len(set(texts)) < len(texts):
        raise InputError(f"colours: {texts} names a label twice; keep one")
    return tuple(sorted(names.index(text) for text in texts))
