"""What a run leaves in its folder beside its rows: a table, pictures, exponents."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.benchmarks import pictures
from pixelwise.benchmarks.growth import write_growth
from pixelwise.benchmarks.run import Bench
from pixelwise.benchmarks.table import markdown
from pixelwise.pictures.files import write_bytes

TABLE, RATIOS, TIME, MEMORY, GROWTH = (
    "table.md",
    "ratios.png",
    "time.png",
    "memory.png",
    "growth.csv",
)


def write_comparison(bench: Bench, folder: Path, notes: Sequence[str] = ()) -> None:
    """`table.md`, with notes below it, and `ratios.png`."""
    below = "".join(f"\n- {note}" for note in notes)
    table = markdown(bench.rows, bench.file.about) + (f"{below}\n" if below else "")
    write_bytes(folder / TABLE, table.encode())
    write_bytes(folder / RATIOS, pictures.ratio_bars(bench.rows))


def write_growing(bench: Bench, folder: Path, fitted: Sequence[dict[str, object]]) -> None:
    """`table.md`, `growth.csv`, `time.png` and `memory.png`."""
    write_bytes(folder / TABLE, markdown(bench.rows, bench.file.about).encode())
    write_growth(folder / GROWTH, fitted)
    for file, column, title in (
        (TIME, "median_ms", "milliseconds"),
        (MEMORY, "peak_mb", "MB above what was in use"),
    ):
        exponent = "time_exponent" if file == TIME else "memory_exponent"
        exponents = {(str(r["name"]), str(r["mode"]), str(r["form"])): r[exponent] for r in fitted}
        picture = pictures.growth_lines(bench.rows, column, title, exponents)
        write_bytes(folder / file, picture)
