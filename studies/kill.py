"""Kill a training run at random moments and compare its weights with those of a run left alone.

python studies/kill.py --kills 20 --workers 2 --out studies/kill.csv
"""

import argparse
import csv
import datetime
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def digest(run):
    return hashlib.sha256((run / "last" / "model.safetensors").read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--span", type=float, default=3.0, help="seconds of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "pixelwise.cli.main", "train", "--quiet",
            "--data", "scenes:size=64,train=40,val=4,test=1", "--backbone", "test_resnet",
            "--attention", "psa_s", "--output-stride", "16", "--batch-size", "4",
            "--steps", str(options.steps), "--workers", str(options.workers), "--ema", "0.9",
            "--checkpoint-every", "0.2", "--validations", "6", "--device", "cpu", "--runs", folder,
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
                process.kill()
                process.wait()
                newest = max((p.stem for p in run.glob("checkpoints/step_*.pt")), default="none")
                moments.append((round(wait, 2), newest))
                words = [*command[:4], "--quiet", "--resume", str(run)]
            else:  # the run ended first: look at it, and start the same one anew
                assert process.returncode == 0
                assert digest(run) == digest(run.parent / "whole")
                run.rename(run.with_name(f"cut{len(moments)}"))
                words = [*command, "--name", "cut"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        equal = digest(run) == digest(run.parent / "whole")
    print(f"{len(moments)} kills, workers {options.workers}: weights bit-equal: {equal}")
    if options.out:
        new = not options.out.exists()
        with options.out.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["date", "workers", "kill", "after_s", "newest", "equal"])
            for index, (wait, newest) in enumerate(moments, start=1):
                writer.writerow(
                    [datetime.date.today(), options.workers, index, wait, newest, equal]
                )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
