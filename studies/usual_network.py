"""What networks learn from scratch in equal CPU time; which one a run takes that names none.

python studies/usual_network.py "hrnetv2 hrnet_w18_small 4" --data camvid --out usual_network.csv

A candidate is MODEL BACKBONE BATCH [SETTING=VALUE ...]. The time limit of a run counts seconds of
one core here, evaluations included, so that waiting for other processes does not count. Rows are
added to --out.
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch
import yaml

import machine
import runs
from pixelwise.cli.console import Console
from pixelwise.networks.segmenter import load
from pixelwise.train import loop
from pixelwise.train.run import train
from pixelwise.train.settings import TrainSettings


def trained(candidate, options):
    model, backbone, batch, *others = candidate.split()
    given = dict(yaml.safe_load(other.replace("=", ": ", 1)).popitem() for other in others)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "data": options.data,
            "model": model,
            "backbone": backbone,
            "batch_size": int(batch),
            "time_limit": f"{options.seconds}s",
            "checkpoint_every": "1h",
            "seed": options.seed,
            "workers": 0,
            "device": "cpu",
            "runs": folder,
            **given,
        }
        loop.time = SimpleNamespace(monotonic=time.process_time)
        with Console(quiet=options.quiet) as console:
            finished = train(TrainSettings(**settings), console)
        network = load(finished.run)
        with (finished.run / "steps.csv").open() as file:
            last = [float(row["loss"]) for row in csv.DictReader(file)][-20:]
        return (
            {"candidate": candidate}
            | runs.row(finished.run)
            | {"parameters": sum(p.numel() for p in network.parameters())}
            | {"last_loss": sum(last) / len(last)}
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidates", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for candidate in options.candidates:
        row = trained(candidate, options)
        before = []
        if options.out.exists():
            with options.out.open(newline="") as file:
                before = list(csv.DictReader(file))
        machine.write(options.out, [*before, row])
        print(
            candidate,
            row["steps_done"],
            round(row["miou"], 4),
            round(row["last_loss"], 3),
            flush=True,
        )


if __name__ == "__main__":
    main()
