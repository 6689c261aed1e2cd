"""Collect finished training runs into one CSV: what was run, and what came out.

python studies/runs.py runs/train/1 runs/train/2 --out studies/camvid.csv
"""

import argparse
import json
from pathlib import Path

import yaml

import machine

SETTINGS = (
    "model", "backbone", "attention", "output_stride", "steps", "time_limit", "batch_size", "crop",
    "recipe", "lr", "class_weights", "ema", "scale_min", "scale_max", "seed",
)  # fmt: skip


def row(run):
    settings = yaml.safe_load((run / "config.yaml").read_text())
    found = json.loads((run / "metrics.json").read_text())
    ious = {f"iou_{name}": iou for name, iou in found["iou"].items()}
    return (
        {"data": Path(settings["data"]).name}
        | {name: settings[name] for name in SETTINGS}
        | {"steps_done": found["steps"], "seconds": found["seconds"]}
        | {"miou": found["miou"], "accuracy": found["accuracy"]}
        | ious
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    machine.write(options.out, [row(run) for run in options.runs])


if __name__ == "__main__":
    main()
