"""The tables of docs/performance.md, from what `pixelwise bench` left: Markdown to standard output.

python studies/tables.py studies/layers.csv --again studies/layers_again.csv

A line for each case: the plain form beside ours, and by how much other packages take longer. Rows
of the same case, size, mode and form that were measured again replace the first.
"""

import argparse
import csv
import statistics
from pathlib import Path

from pixelwise.benchmarks.settings import MODES, OURS, PLAIN


def read(path, again=None):
    """Case -> (mode, form) -> row, in the order of the file."""
    found = {}
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], {})[row["mode"], row["form"]] = row
    if again:
        sizes = {(name, row["size"]) for name, rows in found.items() for row in rows.values()}
        with Path(again).open(newline="") as file:
            for row in csv.DictReader(file):
                if (row["name"], row["size"]) in sizes:
                    found[row["name"]][row["mode"], row["form"]] = row
    return found


def lines(found):
    """Header and rows; modes that were not measured have no columns."""
    modes = [m for m in MODES if any((m, OURS) in rows for rows in found.values())]
    heads = ["case"]
    for mode in modes:
        heads += [f"{mode}, ms", "plain", "ratio", "/ floor", "MB"]
    yield [*heads, f"others ({', '.join(modes)})"]
    yield ["---"] * (len(heads) + 1)
    for name, rows in found.items():
        cells = [f"`{name}`"]
        for mode in modes:
            ours, plain = rows.get((mode, OURS)), rows.get((mode, PLAIN))
            cells += [number(ours, "median_ms"), number(plain, "median_ms")]
            cells += [times(plain), number(ours, "over_floor"), megabytes(ours, plain)]
        yield [*cells, "; ".join(beside(rows, modes))]


def beside(rows, modes):
    """Other packages: how many times as long as ours they take in each mode."""
    for form in dict.fromkeys(form for _, form in rows):
        if form not in (OURS, PLAIN):
            yield f"{form} {', '.join(times(rows.get((mode, form))) for mode in modes)}"


def number(row, column):
    """Three digits, or nothing."""
    if not row or not row[column]:
        return ""
    value = float(row[column])
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(row):
    """How many times as long as ours."""
    return f"{float(row['ratio']):.2f}" if row and row["ratio"] else ""


def megabytes(ours, plain):
    """Peaks of both."""
    return ", ".join(filter(None, (number(ours, "peak_mb"), number(plain, "peak_mb"))))


def means(found):
    """Geometric means over the cases: of the ratios of each form, and above the floor."""
    for form in dict.fromkeys(form for rows in found.values() for _, form in rows):
        column, unit = ("over_floor", "the floor") if form == OURS else ("ratio", "ours")
        for mode in MODES:
            cells = [rows.get((mode, form), {}).get(column) for rows in found.values()]
            values = [float(cell) for cell in cells if cell]
            if values:
                mean = statistics.geometric_mean(values)
                yield f"- {form}, {mode}: {mean:.2f} x {unit} (of {len(values)})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--again", help="rows that were measured again")
    told = parser.parse_args()
    found = read(told.path, told.again)
    print("\n".join(means(found)), end="\n\n")
    for cells in lines(found):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
