"""Recipes and networks on one data set in equal budget, beside segmentation_models_pytorch.

    python studies/recipes.py camvid --block networks recipes --out studies/recipes.csv
    python studies/recipes.py --out studies/recipes.csv      # the tables of what is there

A row per network, recipe and seed; rows that are there are not measured again. Steps, batch, crops
and their order are the same for all, but for balanced crops. pixelwise's networks train as
`pixelwise train` does, without worker processes; those of segmentation_models_pytorch ("smp.") in a
plain loop over the same stream of crops, with the same loss, optimiser and learning rates. All
begin from random weights. Every n-th picture of val is evaluated, at full size, after the last
step. Seconds per step are the process's own on the CPU, crops included: the median over the run.
Seeds are interleaved.
"""

import argparse
import csv
import dataclasses
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch.nn import functional as F

import machine
from pixelwise.train.plan import make_plan
from pixelwise.train.recipes import learning_rate, make_optimizer
from pixelwise.train.run import train
from pixelwise.train.settings import TrainSettings

NETWORKS = ("fcn", "unet", "pan", "smp.Unet", "smp.PAN")
RECIPES = {
    "adamw": {"recipe": "adamw", "schedule": "poly", "lr": 1e-3, "loss": "ce"},
    "sgd": {"recipe": "sgd", "schedule": "cosine", "lr": 2e-2, "loss": "ohem"},
    "one_cycle": {
        "recipe": "adamw", "schedule": "one_cycle", "lr": 2e-3, "loss": "ce+0.5*dice",
        "class_weights": "auto",
    },
    "balanced": {
        "recipe": "adamw", "schedule": "poly", "lr": 1e-3, "loss": "ce+dice", "balance": "auto",
    },
    "rare": {
        "recipe": "adamw", "schedule": "poly", "lr": 1e-3, "loss": "ce+dice",
        "balance": "pole=0.2, sign_symbol=0.2, bicyclist=0.25",
    },
}  # fmt: skip
BLOCKS = {
    "networks": [(network, "one_cycle") for network in NETWORKS],
    "recipes": [("fcn", recipe) for recipe in ("adamw", "sgd", "one_cycle")],
    "rare": [("fcn", "adamw"), ("fcn", "balanced"), ("fcn", "rare")],
}
ZOOM = {"scale_min": 0.7, "scale_max": 1.6}
STRIDES = {"unet": 32}
"""Output strides; 16 for the others, as smp.PAN has it."""
SAME = ("data", "network", "recipe", "seed", "steps", "batch_size", "crop")
RARE = ("pole", "sign_symbol", "bicyclist")


class Watch:
    """Notes the time at every step, and the result."""

    def __init__(self):
        self.cpu, self.result = [], None

    def say(self, line):
        """Nothing is shown."""

    def busy(self, what, done, total):
        """Likewise."""

    def step(self, progress, step, loss, elapsed):
        """After every step."""
        self.cpu.append(time.process_time())

    def validated(self, step, result):
        """At the end."""
        self.result = result

    @property
    def seconds(self):
        """Of the CPU, per step."""
        return statistics.median(b - a for a, b in zip(self.cpu, self.cpu[1:], strict=False))


def thinned(data, every, folder):
    """The data set with every n-th picture of val: links to the files, in a folder of its own."""
    made = folder / data.name
    (made / "val" / "images").mkdir(parents=True)
    (made / "val" / "masks").symlink_to(data.resolve() / "val" / "masks")
    for name in ("classes.csv", "train"):
        (made / name).symlink_to(data.resolve() / name)
    chosen = sorted((data / "val" / "images").iterdir())[::every]
    for picture in chosen:
        (made / "val" / "images" / picture.name).symlink_to(picture.resolve())
    return made, len(chosen)


def ours(settings, watch):
    """As the command trains; the number of parameters."""
    finished = train(settings, watch)
    words = (finished.run / "model.safetensors").stat().st_size / 4
    return round(words / 1e6, 1)


def theirs(name, settings, watch):
    """In a plain loop; the number of parameters."""
    plan = make_plan(settings, watch.say, lambda done, total: None)
    torch.manual_seed(settings.seed)
    classes = plan.model.config.num_classes
    model = getattr(smp, name)("resnet18", encoder_weights=None, classes=classes)
    optimizer, per_step = make_optimizer(model, settings), settings.per_step
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step / settings.steps)
        torch.manual_seed(settings.seed * 1_000_003 + step)
        items = [plan.stream[i] for i in range(step * per_step, (step + 1) * per_step)]
        image, mask = (torch.stack(part) for part in list(zip(*items, strict=True))[:2])
        loss = plan.loss(model(image), mask)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        watch.step(step / settings.steps, step + 1, loss.item(), 0.0)
    watch.validated(settings.steps, scored(model.eval(), plan))
    return round(sum(p.numel() for p in model.parameters()) / 1e6, 1)


@torch.no_grad()
def scored(model, plan):
    """On val; sides are filled up with the mean to multiples of 32."""
    scorer = plan.model.task.scorer()
    for image, target, *_ in (plan.val_inputs[i] for i in range(len(plan.val_inputs))):
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % 32, 0, -height % 32))
        scorer.update(model(padded[None])[0, :, :height, :width].argmax(dim=0), target)
    return scorer.result()


def measured(row, data, batch_size, crop, runs):
    """One row: what was run, and what came out."""
    network, own = row["network"], not row["network"].startswith("smp.")
    settings = TrainSettings(
        data=str(data), model=network if own else "fcn", backbone="resnet18",
        output_stride=STRIDES.get(network, 16), steps=row["steps"], batch_size=batch_size,
        crop=crop, seed=row["seed"], workers=0, device="cpu", validations=1,
        checkpoint_every="30m", runs=str(runs), **ZOOM, **RECIPES[row["recipe"]],
    )  # fmt: skip
    if data.name != "camvid":  # seen from above
        settings = dataclasses.replace(settings, flip_vertical=True, rotate=True)
    watch, begun = Watch(), time.monotonic()
    parameters = (
        ours(settings, watch) if own else theirs(network.removeprefix("smp."), settings, watch)
    )
    return {
        "smp": version("segmentation-models-pytorch"),
        "backbone": "resnet18",
        "output_stride": settings.output_stride if own else "",
        "settings": " ".join(f"{k}={v}" for k, v in (RECIPES[row["recipe"]] | ZOOM).items()),
        "million_parameters": parameters,
        "cpu_seconds_per_step": round(watch.seconds, 4),
        "wall_seconds": round(time.monotonic() - begun, 1),
        **{k: "" if v is None else round(v, 5) for k, v in watch.result.numbers().items()},
    }


def tables(rows):
    """Means over the seeds, with the lowest and the highest, as Markdown."""
    groups = {}
    for row in rows:
        key = row["data"], int(row["steps"]), row["recipe"], row["network"]
        groups.setdefault(key, []).append(row)
    yield "| data | steps | recipe | network | seeds | mIoU | rare classes | CPU s per step |"
    yield "|---|---|---|---|---|---|---|---|"
    for key, found in sorted(groups.items()):
        rare = [f"{name} {spread(found, f'iou_{name}')}" for name in RARE if key[0] == "camvid"]
        cells = [*key, len(found), spread(found, "miou"), ", ".join(rare)]
        time_per_step = statistics.mean(float(row["cpu_seconds_per_step"]) for row in found)
        yield f"| {' | '.join(map(str, cells))} | {time_per_step:.2f} |"


def spread(rows, column):
    """In percent."""
    values = [100 * float(row[column]) for row in rows]
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, help="folder with classes.csv")
    parser.add_argument("--block", nargs="+", choices=BLOCKS, default=[])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--crop", default="192x256")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--val-every", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(csv.DictReader(options.out.open(newline=""))) if options.out.exists() else []
    arms = dict.fromkeys(arm for block in options.block for arm in BLOCKS[block])
    for seed, (network, recipe) in ((s, arm) for s in options.seeds for arm in arms):
        of_arm = (options.data.name, network, recipe, seed, options.steps)
        row = dict(zip(SAME, (*of_arm, options.batch_size, options.crop), strict=True))
        if any(all(str(old[k]) == str(row[k]) for k in SAME) for old in rows):
            continue
        with tempfile.TemporaryDirectory() as folder:
            data, row["val_pictures"] = thinned(options.data, options.val_every, Path(folder))
            found = measured(row, data, options.batch_size, options.crop, Path(folder) / "runs")
        rows.append(machine.about() | row | found)
        machine.write(options.out, rows)
        print(*row.values(), found["miou"], found["cpu_seconds_per_step"], flush=True)
    print("\n".join(tables(rows)))


if __name__ == "__main__":
    main()
