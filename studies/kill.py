"""Kill a training run at random moments and compare its weights with those of a run left alone.

    python studies/kill.py --kills 20 --workers 2 --out studies/kill.csv
    python studies/kill.py --kills 20 --workers 2 --processes 2 --out studies/kill.csv

Several processes are started by torchrun. A kill (SIGKILL) is for all of them, torchrun and the
loaders of pictures too, in an order that is random as well.
"""

import argparse
import contextlib
import csv
import datetime
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def digest(run):
    return hashlib.sha256((run / "last" / "model.safetensors").read_bytes()).hexdigest()


def family(process):
    """Its number and those of all that it began, and they."""
    found = [process]
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def kill(process, chance):
    """All at once, as far as one can."""
    numbers = family(process.pid)
    chance.shuffle(numbers)
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        time.sleep(0.02)


def started_by(processes):
    """The beginning of a command."""
    if processes == 1:
        return [sys.executable]
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--span", type=float, default=3.0, help="seconds of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        train = [*started_by(options.processes), "-m", "pixelwise.cli.main", "train", "--quiet"]
        command = [
            *train,
            "--data", "scenes:size=64,train=40,val=4,test=1", "--backbone", "test_resnet",
            "--attention", "psa_s", "--output-stride", "16", "--batch-size", "4",
            "--steps", str(options.steps), "--workers", str(options.workers), "--ema", "0.9",
            "--checkpoint-every", "0.2s", "--validations", "6", "--device", "cpu", "--runs", folder,
        ]  # fmt: skip
        subprocess.run([*command, "--name", "whole"], check=True, stdout=subprocess.DEVNULL)
        run = Path(folder) / "train" / "cut"
        moments = []
        words = [*command, "--name", "cut"]
        while len(moments) < options.kills:
            logs = len(list(run.glob("tensorboard/*")))
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and len(list(run.glob("tensorboard/*"))) == logs:
                time.sleep(0.02)  # until training begins
            wait = chance.uniform(0.0, options.span)
            try:
                process.wait(timeout=wait)
            except subprocess.TimeoutExpired:
                kill(process, chance)
                newest = max((p.stem for p in run.glob("checkpoints/step_*.pt")), default="none")
                moments.append((round(wait, 2), newest))
                words = [*train, "--resume", str(run)]
            else:  # the run ended first: look at it, and start the same one anew
                assert process.returncode == 0
                assert digest(run) == digest(run.parent / "whole")
                run.rename(run.with_name(f"cut{len(moments)}"))
                words = [*command, "--name", "cut"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        equal = digest(run) == digest(run.parent / "whole")
    setup = {"processes": options.processes, "workers": options.workers}
    print(f"{len(moments)} kills, {setup}: weights bit-equal: {equal}")
    if options.out:
        date = datetime.date.today().isoformat()
        rows = list(csv.DictReader(options.out.open(newline=""))) if options.out.exists() else []
        for index, (wait, newest) in enumerate(moments, start=1):
            row = {"kill": index, "after_s": wait, "newest": newest, "equal": equal}
            rows.append({"date": date} | setup | row)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
            writer.writeheader()
            writer.writerows(rows)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
