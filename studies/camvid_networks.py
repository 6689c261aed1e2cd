"""Train networks on one data set with the same number of steps; a table and a picture of it.

python studies/camvid_networks.py fcn danet --data camvid --steps 300 --out studies/networks

writes networks.csv and networks.png. Every network trains in a process of its own: peak memory is
that process's largest resident size, evaluation included; seconds per step are the median.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

import machine
import runs
from pixelwise.networks.segmenter import load

COMMON = [
    "--recipe", "adamw", "--lr", "0.002", "--class-weights", "auto", "--ema", "0.98",
    "--scale-min", "0.7", "--scale-max", "1.6", "--validations", "1", "--checkpoint-every", "10m",
    "--workers", "1", "--device", "cpu", "--quiet",
]  # fmt: skip


def trained(network, options, folder):
    """One row: the run's settings and scores, parameters, time and memory."""
    model, _, attention = network.partition("+")
    words = ["--model", model, "--data", options.data, "--name", network, "--runs", str(folder)]
    words += ["--batch-size", str(options.batch_size), "--crop", options.crop]
    words += ["--steps", str(options.steps), "--seed", str(options.seed), *COMMON]
    words += ["--attention", attention] if attention else []
    words += ["--output-stride", "16"] if model not in options.own_stride else []
    command = [sys.executable, "-m", "pixelwise.cli.main", "train", *words]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{network}: exit status {os.waitstatus_to_exitcode(status)}")
    run = folder / "train" / network
    with (run / "steps.csv").open() as file:
        steps = [float(row["seconds"]) for row in csv.DictReader(file)]
    saved = load(run)
    return runs.row(run) | {
        "backbone": saved.config.backbone,
        "parameters": sum(p.numel() for p in saved.parameters()),
        "seconds_per_step": round(statistics.median(steps[5:]), 4),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }


def draw(rows, path):
    """Mean IoU against time per step, one labelled point per network."""
    mpl.use("agg")
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        x, y = float(row["seconds_per_step"]), 100 * float(row["miou"])
        axes.scatter(x, y, s=float(row["parameters"]) / 2e5, alpha=0.6)
        axes.annotate(row["name"], (x, y), xytext=(4, 4), textcoords="offset points", fontsize=9)
    axes.set_xlabel("seconds per training step (median)")
    axes.set_ylabel("mean IoU on val, % of union")
    axes.set_title(f"{rows[0]['data']}, {rows[0]['steps_done']} steps each; area: parameters")
    axes.grid(alpha=0.3)
    axes.margins(0.12)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", help="NAME or NAME+ATTENTION")
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--crop", default="256x320")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--own-stride", nargs="*", default=["unet", "attention_unet", "bisenetv2"])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for network in options.networks:
            rows.append({"name": network} | trained(network, options, Path(folder)))
            machine.write(options.out.with_suffix(".csv"), rows)
            print(network, rows[-1]["miou"], rows[-1]["seconds_per_step"], flush=True)
    draw(rows, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
