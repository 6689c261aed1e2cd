"""How equal a run in several processes is to one in a single process, on made-up scenes.

    python studies/processes.py --out studies/processes.csv

SGD, a learning rate of 0.05, no dropout, batch norms of the whole batch (`sync_norms`), and batches
of 5 crops of which other parts are ignored in each. A row compares the weights after so many steps
with those of one process, and the evaluation of all weights of one process with that of several.
"""

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

KINDS = ((1, "ddp"), (2, "ddp"), (3, "ddp"), (2, "fsdp"))
LOSSES = ("ce", "ce+dice+0.1*boundary", "ohem+lovasz")


def main() -> None:
    """Train in one and in several processes, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--losses", nargs="+", default=LOSSES)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="ddp", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker, options.strategy, options.losses, options.steps)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count, strategy in KINDS:
            together(count, strategy, Path(folder), options.losses, options.steps)
        for count, strategy in KINDS[1:]:
            rows += compared(count, strategy, Path(folder), options.losses, options.steps)
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def together(count: int, strategy: str, folder: Path, losses: list[str], steps: list[int]) -> None:
    """Start so many processes and wait for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--out", os.devnull, "--worker", str(folder)]
    command += ["--strategy", strategy, "--steps", *map(str, steps), "--losses", *losses]
    started = []
    for rank in range(count):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {name: str(value) for name, value in place.items()}
        started.append(subprocess.Popen(command, env=environment))
    try:
        codes = [process.wait(timeout=1200) for process in started]
    finally:
        for process in started:
            process.kill()
    if any(codes):
        raise SystemExit(f"{count} processes, {strategy}: exit codes {codes}")


def work(folder: Path, strategy: str, losses: list[str], steps: list[int]) -> None:
    """One of the processes: the weights after each number of steps, and an evaluation."""
    import torch
    from torch import nn
    from torch.utils.data import Subset

    from pixelwise.predict.evaluation import evaluate
    from pixelwise.train.engine import engine
    from pixelwise.train.feeding import batches
    from pixelwise.train.learning import Learner
    from pixelwise.train.plan import make_plan
    from pixelwise.train.processes import joined
    from pixelwise.train.settings import TrainSettings
    from pixelwise.train.shared_scoring import SharedScorer

    def nothing(*_: object) -> None:
        pass

    with joined() as processes:
        for loss in losses:
            settings = TrainSettings(
                data="scenes:size=64,train=12,val=5,test=1", model="fcn", backbone="test_resnet",
                batch_size=5, crop="64", steps=max(steps), recipe="sgd", workers=0, device="cpu",
                loss=loss, strategy=strategy, sync_norms=True,
            )  # fmt: skip
            plan = make_plan(settings, nothing, nothing)
            for module in plan.model.modules():
                if isinstance(module, nn.Dropout | nn.Dropout2d):
                    module.p = 0.0
            name = f"{processes.count}-{strategy}-{loss}"
            start = {name: value.clone() for name, value in plan.model.state_dict().items()}
            learner, feed = Learner(plan, engine(plan)), batches(plan, 0)
            for step in range(max(steps)):
                learner.step(step, feed, 0.05)
                if step + 1 in steps:
                    saved = learner.saved()["model"]
                    if processes.leads:
                        torch.save({"before": start, "after": saved}, folder / f"{name}-{step + 1}")
            network = learner.result
            known = torch.load(folder / f"1-ddp-{loss}-{max(steps)}", weights_only=True)["after"]
            network.load_state_dict(known)
            own = range(processes.rank, len(plan.data.val), processes.count)
            scorer = network.task.scorer_for(plan.val_inputs)
            result = evaluate(
                network, Subset(plan.val_inputs, own), window=1024, device="cpu",
                scorer=SharedScorer(scorer, processes, lambda: None),
            )  # fmt: skip
            if processes.leads:
                matrix = result.confusion.matrix.tolist()
                (folder / f"{name}-matrix").write_text(json.dumps(matrix))


def compared(
    count: int, strategy: str, folder: Path, losses: list[str], steps: list[int]
) -> list[dict[str, object]]:
    """Rows of the table."""
    import torch

    rows: list[dict[str, object]] = []
    for loss in losses:
        one, many = f"1-ddp-{loss}", f"{count}-{strategy}-{loss}"
        equal = (folder / f"{one}-matrix").read_text() == (folder / f"{many}-matrix").read_text()
        for step in steps:
            alone, shared = (
                torch.load(folder / f"{name}-{step}", weights_only=True) for name in (one, many)
            )
            names = [n for n, value in alone["after"].items() if value.is_floating_point()]
            apart = max(float((alone["after"][n] - shared["after"][n]).abs().max()) for n in names)
            moved = max(float((alone["after"][n] - alone["before"][n]).abs().max()) for n in names)
            rows.append(
                {
                    "processes": count,
                    "strategy": strategy,
                    "loss": loss,
                    "steps": step,
                    "largest_difference": f"{apart:.2g}",
                    "largest_change_by_training": f"{moved:.2g}",
                    "evaluation": "equal" if equal else "differs",
                }
            )
    return rows


if __name__ == "__main__":
    main()
