"""What `pixelwise demo` shows of a task: data without files, what to train, what to say of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pixelwise.language import translate

SPOKEN = (
    *("noun", "remark", "title", "story", "heading", "main_name", "of", "decides_name"),
    *(
        "decides_of",
        "helped",
        "not_helped",
        "results",
        "looking",
        "charts",
        "charts_text",
        "writes",
    ),
)
"""Fields that people read."""


@dataclass(frozen=True)
class Demonstration:
    """Plain data; what the pictures and numbers are, the task and its results know.

    Args:
        data: Name of a data set without files.
        noun: What one of its pictures shows.
        size: Side of the pictures, pixels.
        pictures: How many each split has.
        steps: Optimiser steps.
        training: Settings of `pixelwise train`, network and crop aside.
        remark: End of the sentence on the training.
        title: Of the page.
        story: What is hard about the pictures, in sentences.
        heading: Of the numbers, with their unit.
        main: The measure that is told first; `main_name` is what people call it.
        unit: Of it.
        of: What it is of.
        decides: The measures that far context decides: of several the mean counts.
        decides_name: What people call them; `decides_of` says how their difference is counted.
        helped: A sentence with "{gain}", by how much they were better with attention.
        not_helped: A sentence with "{gain}" or "{loss}" where they were not.
        results: Heading of the table.
        marked: Classes or points of which a place is marked in the maps.
        looking: What the maps are.
        evidence: A class or point: also draw which regions speak for it at the mark.
        charts: Heading of the charts of a result, and `charts_text` a line on them.
        writes: What `pixelwise predict` writes.
    """

    data: str
    noun: str
    size: int
    pictures: Mapping[str, int]
    title: str
    story: str
    heading: str
    main: str
    main_name: str
    unit: str
    of: str
    decides: tuple[str, ...]
    decides_name: str
    decides_of: str
    helped: str
    not_helped: str
    results: str
    looking: str
    charts: str
    charts_text: str
    writes: str
    steps: int = 300
    marked: tuple[str, ...] = ()
    evidence: str | None = None
    remark: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)

    def translated(self) -> "Demonstration":
        """With what people read in the chosen language."""
        texts: dict[str, Any] = {name: translate(getattr(self, name)) for name in SPOKEN}
        return replace(self, **texts)
