"""What Triton makes of each kernel for cards that are not here: built ahead of time, never run.

python studies/kernel_builds.py --out studies/kernel_builds.csv --state after --append
python studies/kernel_builds.py --table studies/kernel_builds.csv  # Markdown, for bfloat16

The kernels are those of `tests/ops/test_kernel_builds.py`. Before and after a change, its state is
named: rows of another state, target, case or type stay where they are with --append. Builds that
are alike in all columns are one row.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import machine

sys.path.append(str(Path(__file__).parents[1] / "tests/ops"))

TARGETS = ("sm_80", "sm_89", "sm_90", "gfx942")
NOWHERE = {"cpu": "none: built for it", "cores": "", "threads": ""}
KEY = ("state", "triton", "target", "case", "dtype")
SHOWN = "bfloat16"
CASES_SHOWN = ("attention", "attention wide", "window", "mask collect", "scan", "pool", "polarized")
"""Of the table; its lines are the kernels that changed."""


def rows(target, names, dtypes, state, triton):
    """Of a target, by case and type."""
    import cards  # here, since each process of a card imports this file before its own Triton
    from test_kernel_builds import CASES, DTYPES

    with tempfile.TemporaryDirectory() as cache:
        card = cards.Card(target, cache, triton)
        version = card.run(cards.triton_version)
        for name in names or CASES:
            for dtype in dtypes:
                start = time.monotonic()
                try:
                    builds = dict.fromkeys(card.builds(CASES[name], DTYPES[dtype]))
                except Exception as error:
                    print(f"{target} {name} {dtype}: {error}", file=sys.stderr)
                    continue
                key = dict(zip(KEY, (state, version, target, name, dtype), strict=True))
                yield [NOWHERE | key | seen(build) for build in builds]
                took = time.monotonic() - start
                print(f"{target} {name} {dtype}: {len(builds)} in {took:.1f} s", flush=True)
        card.close()


def seen(build):
    """The columns of a build."""
    return {
        "kernel": build.kernel,
        "registers": build.registers,
        "spilled": build.spilled,
        "shared": build.shared,
        "warps": build.warps,
        "stages": build.stages,
        "instruction": build.instruction,
        "widest_read": build.widest,
    }


def read(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def table(path):
    """Header and lines; the newest Triton there is."""
    found = read(path)
    newest = max(
        (row["triton"] for row in found), key=lambda told: [*map(int, told.split(".")[:3])]
    )
    cells, times = defaultdict(lambda: defaultdict(dict)), defaultdict(int)
    for row in found:
        if row["dtype"] != SHOWN or row["triton"] != newest or row["case"] not in CASES_SHOWN:
            continue
        key = tuple(row[name] for name in (*KEY, "kernel"))
        times[key] += 1
        kernel = row["kernel"].strip("_")
        label = f"`{row['case']}: {kernel}`" + f" {times[key]}" * (times[key] > 1)
        cells[label][row["target"]][row["state"]] = told(row)
    yield ["kernel", *TARGETS]
    yield ["---"] * (1 + len(TARGETS))
    for label in sorted(cells, key=lambda label: CASES_SHOWN.index(label[1:].partition(":")[0])):
        changes = [changed(cells[label][target]) for target in TARGETS]
        if any(changes):
            yield [label, *(change or "as before" for change in changes)]


def told(row):
    """Registers, kilobytes of shared memory, instruction and bytes of the widest read."""
    shared = f"{int(row['shared']) / 1024:.0f}"
    spilled = f" +{row['spilled']} spilled" if int(row["spilled"]) else ""
    instruction = f"`{row['instruction']}`" if row["instruction"] else "-"
    return f"{row['registers']}{spilled} / {shared} / {instruction} / {row['widest_read']}"


def changed(cell):
    """What there was and is, or that alone which there is; nothing where both are alike."""
    before, after = cell.get("before"), cell.get("after")
    if before is None or after is None:
        return f"{before} → none" if after is None and before else after
    return "" if before == after else f"{before} → {after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="write the CSV")
    parser.add_argument("--append", action="store_true", help="keep all rows that are not rebuilt")
    parser.add_argument("--state", choices=["before", "after"], default="after")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--cases", help="names of cases, with commas; else all")
    parser.add_argument("--triton", help="a folder with another Triton")
    parser.add_argument("--table", help="print what is in a CSV as Markdown")
    options = parser.parse_args()
    if options.out:
        names = options.cases.split(",") if options.cases else None
        kept = read(options.out) if options.append and Path(options.out).exists() else []
        for target in options.targets.split(","):
            triton = options.triton and str(Path(options.triton).resolve())
            given = (target, names, options.dtypes.split(","), options.state, triton)
            for fresh in rows(*given):
                done = {tuple(row[name] for name in KEY) for row in fresh}
                kept = [row for row in kept if tuple(row[name] for name in KEY) not in done]
                kept += fresh
                machine.write(options.out, kept)
    if options.table:
        for cells in table(options.table):
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
