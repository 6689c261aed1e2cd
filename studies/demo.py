"""Run `pixelwise demo` with several seeds and collect what attention added.

python studies/demo.py --seeds 0 1 2 --out studies/demo.csv
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as runs:
        for seed in options.seeds:
            begun = time.monotonic()
            words = ["demo", "--quiet", "--seed", str(seed), "--runs", runs]
            command = [sys.executable, "-m", "pixelwise.cli.main", *words]
            subprocess.run(command, check=True)
            wall = round(time.monotonic() - begun, 1)
            newest = max(Path(runs, "demo").iterdir(), key=lambda p: int(p.name))
            for network, found in json.loads((newest / "metrics.json").read_text())["test"].items():
                ious = {f"iou_{name}": round(iou, 4) for name, iou in found["iou"].items()}
                rows.append(
                    {"seed": seed, "network": network, "miou": round(found["miou"], 4)}
                    | ious
                    | {"training_s": found["seconds"], "demo_wall_s": wall}
                )
            machine.write(options.out, rows)


if __name__ == "__main__":
    main()
