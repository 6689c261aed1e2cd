"""The first time there is a card: facts, numbers, times, and what they say about the rules.

python benchmarks/first_hour.py --out FOLDER              # 9 minutes at most, on the first card
python benchmarks/first_hour.py --out FOLDER --dry-run    # the same without a card, in a minute

Facts and two ceilings; numbers of all kernels beside the plain form in float64; times of all forms,
torch.compile and torch's own attention, with a cold cache; graphs, a second stream and equal runs;
maps whose numbers lie far apart. Every row is in its CSV as soon as it is known. At the end
`rules.csv` says of each rule of `choice` whether what it takes on this card was the fastest. What
did not fit into the time is listed, and is a row too.

A dry run has tiny maps, Triton's interpreter and the clock of the host: its times say nothing.
"""

import argparse
import csv
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HANDS = 4
"""Processes that build and check kernels at a time; what is timed is timed by one alone."""
RESERVE = 10
"""Seconds at the end, for the verdicts."""


class Files:
    """CSV files that are written row by row."""

    def __init__(self, folder: Path, machine: Mapping[str, object], columns: Mapping) -> None:
        self.rows = {name: [] for name in columns}
        self._folder, self._machine = folder, machine
        self._columns = {name: (*machine, *own, "message") for name, own in columns.items()}
        folder.mkdir(parents=True, exist_ok=True)
        for name in columns:
            self.again(name, [])

    def again(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """The file with these rows alone."""
        self.rows[name] = []
        with self._path(name).open("w", newline="") as file:
            csv.DictWriter(file, self._columns[name]).writeheader()
        self.add(name, rows)

    def add(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write these rows now."""
        self.rows[name] += rows
        with self._path(name).open("a", newline="") as file:
            writer = csv.DictWriter(file, self._columns[name], "", "ignore")
            writer.writerows(dict(self._machine) | dict(row) for row in rows)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.csv"


def through(jobs, budget, hands, files, say=print):
    """All parts in turn, and then what they left, as long as there is time; the rest comes back."""
    from hour import facts
    from hour.hands import work
    from hour.jobs import ALONE, FILES, SHARES

    def keep(job, rows):
        files.add(FILES[job.part], rows)
        for row in rows:
            if row.get("message") or row.get("verdict") in ("beyond", "differs", "failed"):
                told = [str(row.get(name, "")) for name in ("of", "verdict", "message")]
                say(f"  {job}: {' '.join(filter(None, told))}")

    left = {}
    for part, those in jobs.items():
        say(f"{part}: {len(those)} jobs, {budget.left(SHARES[part]):.0f} s")
        ceilings = facts.ceilings(files.rows["facts"])
        several = hands[:1] if part in ALONE else hands
        left[part] = work(
            those, several, lambda part=part: budget.left(SHARES[part]), ceilings, keep
        )
        for hand in hands[1:]:
            hand.stop()
    for part, those in left.items():
        ceilings = facts.ceilings(files.rows["facts"])
        left[part] = work(those, hands[:1], budget.left, ceilings, keep)
    return [job for those in left.values() for job in those]


def main(arguments=None):
    options = parsed(arguments)
    if options.dry_run and importlib.util.find_spec("triton"):
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported, here or in a process
    import torch

    if not options.dry_run and not torch.cuda.is_available():
        print("no CUDA device: run this where there is one, or give --dry-run", file=sys.stderr)
        return 2
    from hour import facts
    from hour.hands import Budget, Process
    from hour.jobs import COLUMNS, FILES, planned
    from hour.rules import table, verdicts

    budget = Budget(60 * options.minutes - (0 if options.dry_run else RESERVE))
    files = Files(options.out, facts.machine(options.dry_run), COLUMNS)
    count = 1 if options.dry_run else max(1, min(HANDS, (os.cpu_count() or 2) - 1))
    hands = [Process(options.dry_run) for _ in range(count)]
    try:
        left = through(planned(options.dry_run), budget, hands, files)
        for job in left:
            files.add(FILES[job.part], [job.about() | {"message": "left out: no time"}])
            print(f"left out: {job}")
    except KeyboardInterrupt:
        print("interrupted: the files have what was done", file=sys.stderr)
    finally:
        for hand in hands:
            hand.stop()
        rows = verdicts(files.rows["times"], files.rows["numbers"])
        files.again("rules", rows)
    print("\n".join(table(rows)))
    print(f"{options.out}: {', '.join(f'{name}.csv' for name in COLUMNS)}")
    return 0


def parsed(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=9, help="9 unless given")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, tiny maps")
    options = parser.parse_args(arguments)
    if not options.minutes > 0:
        parser.error(f"--minutes {options.minutes:g}: must be above 0; give 9, say")
    return options


if __name__ == "__main__":
    sys.exit(main())
