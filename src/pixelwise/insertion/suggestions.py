"""What `suggest` found: costs of candidates by stage, and how far features look; printed or CSV."""

import csv
from dataclasses import dataclass
from io import StringIO

from pixelwise.insertion.listing import aligned
from pixelwise.language import mark, translate

CLOSING = mark("costs and reach only; whether it helps your data: pixelwise compare")
SHARE = 0.9
"""Of the gradient energy, for the radius that is told."""


@dataclass(frozen=True)
class Reach:
    """Where the gradient of one feature, in the middle of the map, comes from."""

    radius: float
    """Pixels of the picture within which `SHARE` of it lies, the pixel itself left out."""
    area: float
    """Share of the picture's pixels that are so near."""
    farthest: int
    """Rows or columns to the farthest pixel with any."""
    edge: bool
    """Whether that is the picture's edge."""

    def __str__(self) -> str:
        beyond = (
            translate("up to the picture's edges")
            if self.edge
            else translate("none beyond {farthest}").format(farthest=self.farthest)
        )
        return (
            translate(
                "{share:.0%} of the gradient comes from within {radius:.0f} pixels"
                " ({area:.1%} of the picture), {beyond}"
            )
            .format(share=SHARE, radius=self.radius, area=self.area, beyond=beyond)
            .replace("%", " %")
        )


@dataclass(frozen=True)
class StagePlace:
    """A place that ends a stage."""

    name: str
    number: int | None
    """Of the stage, where stages can be counted."""
    channels: int
    size: tuple[int, int]
    """Rows and columns of the map there."""
    reach: Reach | None = None
    problem: str = ""
    """Why `insert` takes no layer there."""
    unknown: str = ""
    """Why there is no reach."""


@dataclass(frozen=True)
class Suggestion:
    """What one layer would cost at one place."""

    place: str
    layer: str
    parameters: int = 0
    flops: int = 0
    seconds: float = 0.0
    measured: bool = False
    """Whether the seconds were measured, or estimated from the operations."""
    memory: int | None = None
    """Bytes that a forward pass needs at most beyond weights and input."""
    training_memory: int | None = None
    """The same of forward and backward."""
    problem: str = ""
    """Why the layer cannot stand there; the numbers are then 0."""


@dataclass(frozen=True)
class HostCost:
    """What the host takes by itself, for one picture."""

    name: str
    image: tuple[int, int]
    parameters: int
    flops: int
    seconds: float
    memory: int | None
    training_memory: int | None
    device: str


@dataclass(frozen=True)
class Suggestions:
    """Costs and reach; printing it shows the table."""

    host: HostCost
    places: tuple[StagePlace, ...]
    rows: tuple[Suggestion, ...]
    """By place, in the order of the stages."""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        host = self.host
        told = [
            translate("{name} with a picture of {host}x{host2} on {device}").format(
                name=host.name, host=host.image[0], host2=host.image[1], device=host.device
            ),
            translate(
                "alone: {parameters:,} parameters, {flops:,.0f} MFLOP, {time}, {bytes};"
                " in training {bytes2}"
            ).format(
                parameters=host.parameters,
                flops=host.flops / 1e6,
                time=_time(host.seconds),
                bytes=_bytes(host.memory),
                bytes2=_bytes(host.training_memory),
            ),
        ]
        head = ("  layer", "parameters", "MFLOP", "", "time", "", "memory", "in training")
        rows = [row for place in self.places for row in self._rows(place)]
        lines = aligned([head, *(row for row in rows if len(row) > 1)], (True, *[False] * 7))
        table = iter(lines.splitlines())
        header = next(table)
        for place in self.places:
            told += ["", *_heading(place)]
            if not place.problem:
                told.append(header)
            for row in self._rows(place):
                told.append(next(table) if len(row) > 1 else row[0])
        return "\n".join([*told, "", *self.notes, *self._least_local(), CLOSING])

    def _rows(self, place: StagePlace) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        for row in self.rows:
            if row.place != place.name or place.problem:
                continue
            if row.problem:
                found.append(
                    (
                        translate("  {layer}: cannot stand here, {problem}").format(
                            layer=row.layer, problem=row.problem
                        )[:100],
                    )
                )
                continue
            found.append(
                (
                    f"  {row.layer}",
                    f"{row.parameters:,}",
                    f"{row.flops / 1e6:,.2f}",
                    _more(row.flops, self.host.flops),
                    ("" if row.measured else "~") + _time(row.seconds),
                    _more(row.seconds, self.host.seconds),
                    _bytes(row.memory),
                    _bytes(row.training_memory),
                )
            )
        return found

    def _least_local(self) -> list[str]:
        known = [place for place in self.places if place.reach is not None]
        if len(known) < 2:
            return []
        widest = max(known, key=lambda place: place.reach.radius if place.reach else 0.0)
        least = min(known, key=lambda place: place.reach.radius if place.reach else 0.0)
        return [
            translate("features look farthest after {name}, least far after {name2}").format(
                name=widest.name, name2=least.name
            )
        ]

    def csv(self) -> str:
        """The rows as CSV, a line for each place and layer."""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        places = {place.name: place for place in self.places}
        writer.writerows(_cells(row, places[row.place]) for row in self.rows)
        return text.getvalue()


COLUMNS = (
    *("stage", "place", "channels", "rows", "columns", "radius_90", "share_of_picture", "farthest"),
    *("layer", "parameters", "flops", "seconds", "measured", "memory", "training_memory"),
    "problem",
)


def _cells(row: Suggestion, place: StagePlace) -> list[object]:
    reach = place.reach
    looks = [reach.radius, reach.area, reach.farthest] if reach else [None] * 3
    costs = [row.parameters, row.flops, row.seconds, row.measured, row.memory, row.training_memory]
    problem = row.problem or place.problem
    if problem:
        costs = [None] * len(costs)
    return [place.number, place.name, place.channels, *place.size, *looks, row.layer, *costs,
            problem]  # fmt: skip


def _heading(place: StagePlace) -> list[str]:
    stage = translate("stage {amount}, ").format(amount=place.number) if place.number else ""
    rows, columns = place.size
    told = [
        translate("{stage}after {name}: {channels} channels on {rows}x{columns}").format(
            stage=stage, name=place.name, channels=place.channels, rows=rows, columns=columns
        )
    ]
    if place.reach or place.unknown:
        told.append(f"  {place.reach or place.unknown}")
    if place.problem:
        told.append(translate("  no layer can stand here: {problem}").format(problem=place.problem))
    return told


def _more(part: int | float, whole: int | float) -> str:
    return f"+{part / whole:.1%}".replace("%", " %") if whole else ""


def _time(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{seconds * 1e3:,.1f} ms"


def _bytes(count: int | None) -> str:
    if count is None:
        return "-"
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
