"""Train a plain network, insert attention, train on; beside the same network without insertion.

python studies/insertion_story.py --data camvid --start runs/train/plain --insert \
    "backbone.body.layer4=isa" --steps 200 --seeds 0 1 2 --out studies/insertion

writes insertion.csv (every run) and insertion.png. Both kinds start from the same weights and see
the same pictures in the same order: the seed decides, and each seed has both.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

import machine
import runs

KINDS = ("without", "inserted")
COMMON = [
    "--recipe", "adamw", "--class-weights", "auto", "--ema", "0.98", "--scale-min", "0.7",
    "--scale-max", "1.6", "--validations", "1", "--checkpoint-every", "10m", "--workers", "0",
    "--device", "cpu",
]  # fmt: skip


def continued(kind, seed, options):
    """One run, unless it is there already, as a row."""
    name = f"{kind}_{seed}"
    run = Path(options.runs) / "train" / name
    if not (run / "metrics.json").exists():
        words = ["--data", options.data, "--start", options.start, "--name", name]
        words += ["--runs", options.runs, "--steps", str(options.steps), "--seed", str(seed)]
        words += ["--batch-size", str(options.batch_size), "--crop", options.crop]
        words += ["--lr", str(options.lr), "--insert-lr", str(options.insert_lr)]
        words += ["--insert", options.insert] if kind == "inserted" else []
        command = [sys.executable, "-m", "pixelwise.cli.main", "train", *words, *COMMON]
        subprocess.run(command, check=True)
    return {"kind": kind, "insert": options.insert, "insert_lr": options.insert_lr} | runs.row(run)


def per_class(rows):
    """Class -> (mean IoU without, mean IoU inserted, mean difference, its standard error)."""
    names = [column for column in rows[0] if column.startswith("iou_")]
    table = {}
    for column in ["miou", *names]:
        kinds = {k: [r[column] for r in rows if r["kind"] == k] for k in KINDS}
        if any(value is None for values in kinds.values() for value in values):
            continue
        gaps = [b - a for a, b in zip(*kinds.values(), strict=True)]
        spread = statistics.stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
        means = [statistics.mean(values) for values in kinds.values()]
        table[column.removeprefix("iou_")] = (*means, statistics.mean(gaps), spread)
    return table


def draw(table, title, path):
    """Differences per class with their standard errors."""
    mpl.use("agg")
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    names = list(table)[::-1]
    gaps = [100 * table[name][2] for name in names]
    errors = [100 * table[name][3] for name in names]
    axes.errorbar(gaps, range(len(names)), xerr=errors, fmt="o", color="#0b5cad", capsize=3)
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("IoU with insertion minus without, points (mean and standard error over seeds)")
    axes.set_title(title)
    axes.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--start", required=True, help="run of the plain network")
    parser.add_argument("--insert", required=True)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--crop", default="192x256")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--insert-lr", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", required=True, help="file name without suffix")
    options = parser.parse_args()
    rows = [continued(kind, seed, options) for seed in options.seeds for kind in KINDS]
    machine.write(f"{options.out}.csv", rows)
    table = per_class(rows)
    for name, (without, inserted, gap, error) in table.items():
        told = f"{100 * without:6.2f} {100 * inserted:6.2f}  {100 * gap:+5.2f} +- {100 * error:.2f}"
        print(f"{name:12} {told}")
    count = len(options.seeds)
    title = f"{options.insert}, {options.steps} steps, {count} seeds"
    draw(table, title, f"{options.out}.png")


if __name__ == "__main__":
    main()
