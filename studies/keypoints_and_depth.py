"""Train `fcn` on generated puppets and depth scenes with and without attention, several seeds.

python studies/keypoints_and_depth.py puppets --steps 700 --seeds 0 1 2 3 --out studies/puppets.csv
python studies/keypoints_and_depth.py depth-scenes --steps 300 --out studies/depth_scenes.csv

A seed is that of the pictures and of the training. Its two networks take the same number of steps
on the same pictures in the same order, side by side, one thread each. Rows hold the numbers on the
test split, the wall time of training and validation, and the processor time of the process. The
rows "guess" are what the training labels alone say: each point's mean place, or the median depth.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

import machine
from pixelwise.data.opening import open_data
from pixelwise.networks.segmenter import load

NETWORK = ["--model", "fcn", "--backbone", "test_resnet", "--output-stride", "8"]
COMMON = [
    "--batch-size", "8", "--lr", "0.003", "--scale-min", "1", "--scale-max", "1", "--turn", "10",
    "--validations", "5", "--workers", "0", "--device", "cpu", "--quiet",
]  # fmt: skip
PICTURES = {
    "puppets": "size=64,train=1000,val=100,test=200",
    "depth-scenes": "size=96,train=1000,val=100,test=200",
}


def trained(data, attention, seed, steps, folder):
    """The run's folder, after training and evaluation on test, and the processor time."""
    name = f"{attention}_{seed}"
    words = ["--data", data, *NETWORK, "--attention", attention, *COMMON, "--steps", str(steps)]
    words += ["--seed", str(seed), "--runs", str(folder), "--name", name]
    command = [sys.executable, "-m", "pixelwise.cli.main"]
    process = subprocess.Popen([*command, "train", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{data} {attention}: {os.waitstatus_to_exitcode(status)}")
    run = folder / "train" / name
    words = ["evaluate", str(run), "--split", "test", "--quiet"]
    subprocess.run([*command, *words], stdout=subprocess.DEVNULL, check=True)
    return run, usage.ru_utime + usage.ru_stime


def row(run, processor):
    """What a run cost, and its numbers on test."""
    cost = json.loads((run / "metrics.json").read_text())
    found = json.loads((run / "evaluate" / "test" / "metrics.json").read_text())
    return {
        "steps": cost["steps"],
        "best_step": cost["best_step"],
        "parameters": sum(p.numel() for p in load(run).parameters()),
        "training_s": cost["seconds"],
        "processor_s": round(processor, 1),
        **plain(found),
    }


def guess(run, data):
    """The numbers of a prediction that does not look at the picture."""
    model, source = load(run), open_data(data)
    samples = [source.split("train")[i] for i in range(len(source.split("train")))]
    if source.kind == "points":
        places = np.nanmean(np.stack([sample.points.numpy() for sample in samples]), axis=0)
        answer = torch.from_numpy(np.column_stack([places, np.ones(len(places))]))
    else:
        depths = torch.stack([sample.mask for sample in samples])
        answer = torch.full_like(samples[0].mask, float(depths.nanmedian()))
    config = model.config
    scorer = model.task.scorer()
    test = model.task.evaluation_set(
        source.split("test"), mean=config.mean, std=config.std, scale=config.scale
    )
    for i in range(len(test)):
        scorer.update(answer, test[i][1])
    return plain(scorer.result().summary())


def plain(found):
    """Numbers alone, to four digits after the point."""
    return {name: round(n, 4) for name, n in found.items() if isinstance(n, int | float)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=("puppets", "depth-scenes"))
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--attention", nargs="+", default=["none", "psa_s@2,3,4"])
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for seed in options.seeds:
            data = f"{options.set}:seed={seed},{PICTURES[options.set]}"
            waiting = {
                attention: pool.submit(trained, data, attention, seed, options.steps, Path(folder))
                for attention in options.attention
            }
            for attention, found in waiting.items():
                run, processor = found.result()
                about = {"data": data, "seed": seed, "network": attention}
                rows.append(about | row(run, processor))
            rows.append({"data": data, "seed": seed, "network": "guess"} | guess(run, data))
            machine.write(options.out, rows)


if __name__ == "__main__":
    main()
