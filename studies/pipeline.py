"""How many training crops a second the input makes, and how long a training step waits for them.

python studies/pipeline.py --camvid FOLDER --out studies/pipeline.csv

Pictures of 1024 x 2048 pixels are made from noise that was blurred, as JPEG and PNG, with masks.
"rate" rows: crops of 512 x 512 in one process, with nothing kept and with pictures kept in memory
or on disk, beside a plain data set of Pillow and torchvision's transforms that does the same to a
picture; in turns in one process, medians. "train" rows: the share of waiting in a run's steps.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision import tv_tensors
from torchvision.transforms import v2

import machine
from pixelwise.cli.console import Console
from pixelwise.data.augmenting.usual import Augmentation
from pixelwise.data.cache import keep
from pixelwise.data.cache_size import read_cache
from pixelwise.data.opening import open_data
from pixelwise.data.stream import TrainingStream
from pixelwise.train.run import train
from pixelwise.train.settings import TrainSettings

CROP, PICTURES, CLASSES = 512, 8, 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NETWORKS = ("hrnetv2 hrnet_w18_small", "fcn resnet18")
SETTINGS = {"steps": 24, "crop": f"{CROP}x{CROP}", "validations": 1, "check_data": False}


def make(folder, suffix):
    """A data set of large pictures; returns its data.yaml."""
    rng = np.random.default_rng(0)
    for split, count in (("train", PICTURES), ("val", 1)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(count):
            coarse = rng.integers(0, 256, (64, 128, 3), np.uint8)
            picture = Image.fromarray(coarse).resize((2048, 1024), Image.Resampling.BICUBIC)
            fine = Image.fromarray(rng.integers(0, 256, (1024, 2048, 3), np.uint8))
            picture = Image.blend(picture, fine.filter(ImageFilter.GaussianBlur(1)), 0.3)
            picture.save(folder / split / "images" / f"{i}{suffix}", quality=90)
            mask = rng.integers(0, CLASSES, (16, 32), np.uint8)
            mask = Image.fromarray(mask).resize((2048, 1024), Image.Resampling.NEAREST)
            mask.save(folder / split / "masks" / f"{i}.png")
    path = folder / "data.yaml"
    path.write_text(
        f"train: train/images\nval: val/images\nnames: {[f'class {i}' for i in range(CLASSES)]}\n"
    )
    return path


class Plain(torch.utils.data.Dataset):
    """What people write themselves: Pillow, and torchvision's transforms of picture and mask."""

    def __init__(self, pairs):
        self.pairs = pairs
        self.change = v2.Compose(
            [
                v2.RandomResize(512, 2048),
                v2.RandomCrop(CROP, pad_if_needed=True, fill={tv_tensors.Mask: 255, "others": 0}),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.3, 0.3, 0.3),
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __getitem__(self, position):
        picture, mask = self.pairs[position % len(self.pairs)]
        image = tv_tensors.Image(v2.functional.pil_to_tensor(Image.open(picture).convert("RGB")))
        target = tv_tensors.Mask(v2.functional.pil_to_tensor(Image.open(mask)))
        image, target = self.change(image, target)
        return image, target[0].long()


def stream(pictures):
    return TrainingStream(
        pictures, (CROP, CROP), 0, mean=MEAN, std=STD, scale=255.0, augmentation=Augmentation()
    )


def rates(name, data, options):
    """Crops a second of CPU time, of all forms in turns."""
    split = open_data(data).split("train")
    forms = {"nothing kept": stream(split), "torchvision": Plain(split.pairs)}
    for place in ("memory:2GB", "disk:2GB"):
        kept, _ = keep({"train": split}, read_cache(place))
        forms[place] = stream(kept["train"])
    seconds = {form: [] for form in forms}
    for position in range(options.crops + PICTURES):
        for form, items in forms.items():
            begun = time.process_time()
            _ = items[position]
            if position >= PICTURES:  # each picture was seen once
                seconds[form].append(time.process_time() - begun)
    ours = statistics.median(seconds["nothing kept"])
    for form, each in seconds.items():
        middle = statistics.median(each)
        yield {
            "kind": "rate", "data": name, "form": form, "crops": len(each),
            "crops_per_cpu_second": round(1 / middle, 1),
            "times_nothing_kept": round(ours / middle, 2),
        }  # fmt: skip


def waits(name, data, options):
    """The share of waiting of short runs."""
    for model, backbone in (network.split() for network in options.networks):
        for workers in (0, 1, 2):
            for cache in ("none", "memory:2GB", "disk:2GB") if workers == 2 else ("none",):
                with tempfile.TemporaryDirectory() as runs, Console(quiet=True) as console:
                    settings = TrainSettings(
                        data=str(data), model=model, backbone=backbone, batch_size=2,
                        workers=workers, cache=cache, runs=runs, device="cpu", **SETTINGS,
                    )  # fmt: skip
                    finished = train(settings, console)
                    found = json.loads((finished.run / "metrics.json").read_text())
                    rows = (finished.run / "steps.csv").read_text().splitlines()
                column = rows[0].split(",").index("seconds")
                step = statistics.median(float(row.split(",")[column]) for row in rows[2:])
                row = {
                    "kind": "train", "data": name, "form": f"{model} {backbone}", "cache": cache,
                    "workers": workers, "crops": 2 * SETTINGS["steps"],
                    "crops_per_second": round(2 / step, 2), "waiting": found["waiting"],
                }  # fmt: skip
                print(row, flush=True)
                yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--crops", type=int, default=40)
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        sets = {
            "1024x2048 JPEG": make(Path(folder) / "jpeg", ".jpg"),
            "1024x2048 PNG": make(Path(folder) / "png", ".png"),
        }
        if options.camvid is not None:
            sets["CamVid"] = options.camvid
        for name, data in sets.items():
            rows += rates(name, data, options)
        for name, data in sets.items():
            rows += waits(name, data, options)
            machine.write(options.out, rows)


if __name__ == "__main__":
    main()
