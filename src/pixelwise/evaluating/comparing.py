"""The scores of several networks on the same pictures, and how the others differ from the first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pixelwise.evaluating.scoring import Scored
from pixelwise.language import cells, left, right, spoken, translate
from pixelwise.metrics import Difference, Tallies, differences
from pixelwise.tasks.class_results import csv_table

SHOWN = 6
"""Pictures that are shown: those where a network is most ahead, and most behind."""
LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Compared:
    """Networks by their letters; the first is what the others are compared with.

    Args:
        networks: What was found of each.
        tallies: Of each, in the same order; empty where the task has none.
        found: For each but the first, its differences score by score.
    """

    networks: dict[str, Scored]
    tallies: tuple[Tallies, ...]
    found: dict[str, list[Difference]]

    @classmethod
    def of(cls, each: Sequence[Scored]) -> "Compared":
        """Compare them.

        Raises:
            InputError: Their scores, or the pixels that count, are not the same.
        """
        networks = dict(zip(LETTERS, each, strict=False))
        known = tuple(one.tallies for one in each if one.tallies is not None)
        if len(known) < len(each):
            return cls(networks, (), {})
        letters = list(networks)
        found = {
            letter: differences(known[0], other)
            for letter, other in zip(letters[1:], known[1:], strict=True)
        }
        return cls(networks, known, found)

    @property
    def drawn(self) -> int:
        """Pictures that count."""
        return int((self.tallies[0].counted > 0).sum()) if self.tallies else 0

    def rows(self) -> list[list[str]]:
        """The table for people, its header first."""
        first, *others = self.networks
        head = [translate("score"), first]
        for letter in others:
            head += [letter, f"{letter} - {first}", translate("95 % interval")]
        rows = [head]
        kinds = self.tallies[0].kinds
        values = [one.scores() for one in self.tallies]
        for number, kind in enumerate(kinds):
            unit = f", {kind.told_in}" if kind.told_in else ""
            row = [spoken(kind.title) + unit, _cell(kind.text(values[0][number]))]
            for place, letter in enumerate(others, start=1):
                one = self.found[letter][number]
                row += [
                    _cell(kind.text(values[place][number])),
                    "" if one.value is None else kind.text(one.value, sign=True),
                    kind.interval(one.interval, sign=True) + (" *" if one.clear else ""),
                ]
            rows.append(row)
        return rows

    def plain_rows(self) -> list[list[str]]:
        """The table where there are no scores by picture: the numbers of each."""
        each = [one.result.measures() for one in self.networks.values()]
        rows = [[spoken(each[0].heading), *self.networks]]
        for number, row in enumerate(each[0].rows):
            rows.append([spoken(row.name), *(one.text(one.rows[number].value) for one in each)])
        return rows

    def verdicts(self) -> Iterator[str]:
        """A line for each but the first, on the main score."""
        first = next(iter(self.networks))
        for letter, found in self.found.items():
            main, kind = found[0], found[0].kind
            if main.value is None:
                yield translate("{title} of {letter}: none").format(
                    title=spoken(kind.title), letter=letter
                )
                continue
            line = translate("{title} of {letter} minus that of {first}: ").format(
                title=spoken(kind.title), letter=letter, first=first
            )
            line += f"{kind.text(main.value, sign=True)} {translate(kind.apart_in)}".rstrip()
            if main.interval is None:
                yield translate("{line}; one picture gives no interval").format(line=line)
                continue
            line += translate(", 95 % interval {interval}").format(
                interval=kind.interval(main.interval, sign=True)
            )
            yield (
                line
                if main.clear
                else translate("{line}, so which is better is open").format(line=line)
            )

    def by_picture(self, letter: str) -> list[tuple[float, int]]:
        """(how much better than the first, row), the worst for this network first."""
        first, other = self.tallies[0], self.tallies[list(self.networks).index(letter)]
        sign = -1.0 if first.kinds[0].larger is False else 1.0
        found = [
            (sign * (b[0] - a[0]), row)
            for row, (a, b) in enumerate(zip(first.each(), other.each(), strict=True))
            if a[0] is not None and b[0] is not None
        ]
        return sorted(found)

    def chosen(self) -> list[int]:
        """Rows of the pictures to show: of each network where it loses and gains most."""
        each = max(1, SHOWN // (2 * max(1, len(self.found))))
        rows: dict[int, None] = {}
        for letter in self.found:
            order = [row for gain, row in self.by_picture(letter) if gain]
            rows |= dict.fromkeys([*order[::-1][:each], *order[:each]])
        return list(rows)[:SHOWN]

    def picture_table(self) -> bytes:
        """The main score of every picture, the one where the second network loses most first."""
        first, *others = self.networks
        names = self.tallies[0].pictures
        each = [[row[0] for row in one.each()] for one in self.tallies]
        known = [row for _, row in self.by_picture(others[0])]
        order = known + [row for row in range(len(names)) if row not in {*known}]
        name = self.tallies[0].kinds[0].name
        head = [
            "picture",
            *(f"{name}_{x}" for x in self.networks),
            *(f"{x}-{first}" for x in others),
        ]
        rows = [
            [
                names[row],
                *(values[row] for values in each),
                *(_minus(values[row], each[0][row]) for values in each[1:]),
            ]
            for row in order
        ]
        return csv_table(head, rows)

    def score_table(self) -> bytes:
        """All scores, their differences and the ends of the intervals."""
        first, *others = self.networks
        head = ["score", first]
        for letter in others:
            head += [letter, f"{letter}-{first}", f"{letter}_low", f"{letter}_high"]
        rows = []
        for number, kind in enumerate(self.tallies[0].kinds):
            row: list[str | float | None] = [kind.name, self.found[others[0]][number].first]
            for letter in others:
                one = self.found[letter][number]
                row += [one.second, one.value, *(one.interval or (None, None))]
            rows.append(row)
        return csv_table(head, rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text: names on the left, all else on the right."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *values in rows:
        padded = (right(value, width) for value, width in zip(values, widths[1:], strict=True))
        lines.append("  ".join([left(name, widths[0]), *padded]).rstrip())
    return "\n".join(lines)


def _cell(text: str) -> str:
    return translate("absent") if text == "none" else text


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
