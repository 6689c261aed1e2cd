"""The page of several networks beside each other."""

from collections.abc import Iterator, Mapping

from pixelwise import pictures
from pixelwise.data.source import Source
from pixelwise.evaluating.class_sections import legend_of
from pixelwise.evaluating.comparing import Compared
from pixelwise.evaluating.request import Request
from pixelwise.evaluating.single_page import LISTED, facts, footer
from pixelwise.language import mark, spoken, translate
from pixelwise.metrics import Difference
from pixelwise.report import (
    Block,
    Figure,
    Highlight,
    Report,
    Section,
    Table,
    Text,
    measures_table,
)
from pixelwise.tasks.class_masks import ClassMasks

CAPTION = mark(
    "95 % intervals of the differences by a paired bootstrap over pictures; * does not hold 0. An"
    " interval tells how far a difference depends on which pictures were evaluated, not how far"
    " other trainings of the same networks would differ. Of many scores, about one in twenty is"
    " marked by chance."
)
MOST = 40
"""Of more scores the chart has the main ones alone."""


def several_page(
    compared: Compared, request: Request, source: Source, shown: Mapping[str, bytes]
) -> Report:
    """Scores side by side, differences with intervals, and the pictures that differ most.

    Args:
        compared: The networks.
        request: The evaluation.
        source: The data.
        shown: Pictures of what the networks say, by file.
    """
    networks = compared.networks
    sections = [Section(translate("Scores"), "", tuple(_scores(compared)))]
    if compared.tallies:
        sections.append(
            Section(translate("Pictures that differ most"), "", tuple(_pictures(compared, shown)))
        )
    run = tuple(
        block
        for letter, one in networks.items()
        for block in (Text(f"{letter}: {one.run}"), facts(one, request, source))
    )
    sections.append(Section(translate("What was run"), "", run))
    return Report(
        translate("Comparison of {networks}").format(networks=translate(" and ").join(networks)),
        "\n\n".join(
            [
                translate("; ").join(
                    translate("{letter} is {run}").format(letter=letter, run=one.run)
                    for letter, one in networks.items()
                )
                + translate("."),
                translate("{names} pictures of {split} of {name}.").format(
                    names=len(next(iter(networks.values())).names),
                    split=request.split,
                    name=source.name,
                ),
                *(f"{line[0].upper()}{line[1:]}" + translate(".") for line in compared.verdicts()),
            ]
        ),
        tuple(_highlights(compared)),
        tuple(sections),
        footer(),
    )


def _highlights(compared: Compared) -> Iterator[Highlight]:
    for letter, tallies in zip(compared.networks, compared.tallies, strict=False):
        kind, value = tallies.kinds[0], tallies.scores()[0]
        told = f"{kind.text(value)} {kind.told_in}".rstrip()
        note, kind_title = "", spoken(kind.title)
        if letter in compared.found:
            main = compared.found[letter][0]
            if main.value is not None:
                note = f"{kind.text(main.value, sign=True)} {translate(kind.apart_in)}".rstrip()
            if main.interval is not None:
                note += translate(", interval {interval}").format(
                    interval=kind.interval(main.interval, sign=True)
                )
        yield Highlight(
            translate("{title} of {letter}").format(title=kind_title, letter=letter), told, note
        )


def _scores(compared: Compared) -> Iterator[Block]:
    if not compared.tallies:
        each = {letter: one.result.measures() for letter, one in compared.networks.items()}
        yield measures_table(each)
        return
    head, *rows = compared.rows()
    yield Table(tuple(head), tuple(map(tuple, rows)), translate(CAPTION))
    first = next(iter(compared.networks))
    for letter, found in compared.found.items():
        for unit, kinds in _by_unit(found).items():
            rows_ = [
                (
                    one.kind.title,
                    _scaled(one, one.value),
                    None
                    if one.interval is None
                    else (_scaled(one, one.interval[0]), _scaled(one, one.interval[1])),
                )
                for one in kinds[:MOST]
                if one.value is not None
            ]
            if rows_:
                label = f"{letter} - {first}" + (f", {unit}" if unit else "")
                yield Figure(
                    pictures.difference_chart(rows_, label),
                    translate(
                        "Differences between {letter} and {first} with their intervals"
                    ).format(letter=letter, first=first),
                    translate("What {letter} has more than {first}.").format(
                        letter=letter, first=first
                    ),
                )


def _by_unit(found: list[Difference]) -> dict[str, list[Difference]]:
    """Differences that one axis can tell."""
    groups: dict[str, list[Difference]] = {}
    for one in found:
        groups.setdefault(one.kind.apart_in, []).append(one)
    return groups


def _scaled(one: Difference, value: float | None) -> float:
    return (value or 0.0) * (100 if one.kind.percent else 1)


def _pictures(compared: Compared, shown: Mapping[str, bytes]) -> Iterator[Block]:
    names, kind = compared.tallies[0].pictures, compared.tallies[0].kinds[0]
    first = next(iter(compared.networks))
    each = [[row[0] for row in one.each()] for one in compared.tallies]
    for letter in compared.found:
        order = compared.by_picture(letter)
        half = LISTED // 2
        some = order if len(order) <= LISTED else [*order[:half], *order[-half:]]
        place = list(compared.networks).index(letter)
        rows = tuple(
            (
                names[row],
                kind.text(each[0][row]),
                kind.text(each[place][row]),
                kind.text((each[place][row] or 0.0) - (each[0][row] or 0.0), sign=True),
            )
            for _, row in some
        )
        caption = translate("{title} of each picture").format(title=spoken(kind.title)) + (
            f", {kind.told_in}" if kind.told_in else ""
        )
        caption += translate("; where {letter} is behind most comes first.").format(letter=letter)
        if len(some) < len(order):
            caption += translate(" {amount} pictures between them are in pictures.csv.").format(
                amount=len(order) - len(some)
            )
        yield Table((translate("picture"), first, letter, f"{letter} - {first}"), rows, caption)
    task = compared.networks[first].model.task
    if shown and isinstance(task, ClassMasks):
        yield legend_of(task)
    for content, row in zip(shown.values(), compared.chosen(), strict=True):
        told = ", ".join(
            f"{letter} {kind.text(values[row])}"
            for letter, values in zip(compared.networks, each, strict=True)
        )
        unit = f" {kind.told_in}" if kind.told_in else ""
        yield Figure(
            content,
            translate("{names}: the truth, and what each network says").format(names=names[row]),
            f"{names[row]}: {spoken(kind.title)} {told}{unit}",
            wide=True,
        )
