"""The numbers of a result as people read them beside those of another network."""

from dataclasses import dataclass

from pixelwise.language import message, translate


@dataclass(frozen=True)
class Measure:
    """One number.

    Args:
        name: What it is, or what it is of.
        value: None where there is none.
        larger: Whether larger is better; None: neither.
        counted: How much it is of, as text.
    """

    name: str
    value: float | None
    larger: bool | None = None
    counted: str = ""


@dataclass(frozen=True)
class Measures:
    """A table of them.

    Args:
        rows: The numbers.
        heading: What their names are.
        counted: Heading of how much they are of; empty: not told.
        digits: After the point.
        absent: What is told for None.
        caption: What the numbers are, with their unit.
    """

    rows: tuple[Measure, ...]
    heading: str = message("measure")
    counted: str = ""
    digits: int = 3
    absent: str = "none"
    caption: str = ""

    def value(self, name: str) -> float:
        """The number of that name; 0 where there is none."""
        found = next(row.value for row in self.rows if row.name == name)
        return found or 0.0

    def text(self, value: float | None) -> str:
        """A number with its digits."""
        return translate(self.absent) if value is None else f"{value:.{self.digits}f}"
