"""What every form of `pixelwise explain` reads from its words, says and writes."""

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelwise.errors import InputError, unknown
from pixelwise.language import translate
from pixelwise.outputs import Outputs

if TYPE_CHECKING:
    from pixelwise.explanation.explain import Explanation
LARGEST = 2048
"""Longest side of a picture, which the network sees whole, in pixels."""


def pixel_of(text: str) -> tuple[int, int]:
    """Row and column.

    Raises:
        InputError: It is no pixel.
    """
    match = re.fullmatch(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*", text)
    if match is None:
        raise InputError(f"at={text!r}: must be ROW,COLUMN of a pixel; e.g. --at 120,200")
    return int(match[1]), int(match[2])


def class_index(given: str | None, names: Sequence[str], count: int) -> int | None:
    """The class of that name or number.

    Raises:
        InputError: There is none.
    """
    if given is None or given in names:
        return None if given is None else list(names).index(given)
    if given.isdecimal() and int(given) < count:
        return int(given)
    if given.isdecimal() or not names:
        raise InputError(f"class={given!r}: must be from 0 to {count - 1}; take one of them")
    raise unknown("class", given, names)


def line_of(found: "Explanation", asked: tuple[int, int]) -> str:
    """What was found, in a line."""
    row, column = asked
    what = translate("{maps} maps").format(maps=len(found.maps))
    if not found.maps:
        what = translate("no attention")
        radii = [] if found.receptive is None else [r.radius for r in found.receptive.reaches]
        if radii and radii[0] is not None:
            what += translate(": half of what it depends on lies within {radii:.0f} pixels").format(
                radii=radii[0]
            )
    return translate(
        "  row {row}, column {column}: {class_name} ({probability:.0f} %), {what}, {seconds:.1f} s"
    ).format(
        row=row,
        column=column,
        class_name=found.class_name,
        probability=100 * found.probability,
        what=what,
        seconds=found.seconds,
    )


def write(
    folder: Path,
    picture: Path,
    explanations: Sequence["Explanation"],
    asked: Sequence[tuple[int, int]],
) -> Path:
    """Write the page, a picture per query and the numbers; all of them or none."""
    from pixelwise.explanation.page.numbers import numbers
    from pixelwise.explanation.page.page import save

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".explaining-") as hidden:
        entries = []
        for found, (row, column) in zip(explanations, asked, strict=True):
            plain = re.sub(r"[^\w-]+", "_", found.class_name)
            file = f"{plain}_{row}_{column}.png"
            save([found], Path(hidden) / file)
            entries.append({"file": file, "at_in_picture": [row, column], **numbers(found)})
        save(explanations, Path(hidden) / "look.html")
        text = json.dumps({"picture": str(picture), "queries": entries}, indent=2) + "\n"
        (Path(hidden) / "explain.json").write_text(text, encoding="utf-8")
        files = sorted(Path(hidden).iterdir())
        with Outputs(folder, "explain") as outputs, outputs.writing(*(f.name for f in files)):
            for path in files:
                path.replace(folder / path.name)
    return folder / "look.html"
