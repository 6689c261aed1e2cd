"""Sentences written by hand for a page of the gallery, and tables of other pages."""

import csv
import functools
import re
from collections.abc import Mapping

from building.links import relinked
from building.places import DOCS, ROOT


@functools.cache
def sections(kind: str, key: str) -> Mapping[str, str]:
    """Heading -> text of `docs/gallery/KIND/KEY.md`; empty where there is no such file."""
    file = DOCS / "gallery" / kind / f"{key}.md"
    if not file.exists():
        return {}
    place = f"gallery/{kind}/{key}.md"
    text = relinked(file.read_text(encoding="utf-8"), f"docs/{place}", place)
    parts = re.split(r"^## +(.+?) *\n", text, flags=re.MULTILINE)
    return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


@functools.cache
def measured(name: str) -> list[dict[str, str]]:
    """The rows of a table of `studies`."""
    with (ROOT / "studies" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@functools.cache
def table(page: str) -> list[list[str]]:
    """The rows of the tables of a page in `docs`, each a list of cells."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def first_sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    joined = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.:])\s", joined, maxsplit=1)[0]
