"""A raster that is larger than memory: memory, rate, kills, place on Earth, seams.

python studies/large_raster.py kampala_z21.tif --sides 5000 40000 --folder scratch

writes large_raster.csv, one row per figure. The rasters repeat the picture; each run is a process
of its own, whose peak memory is its largest resident size. `--only NAME` makes the rows of one part
again and keeps the others. What the engine blends is bit-equal to `predict_logits` (a test), so
seams are measured on that.
"""

import argparse
import csv
import hashlib
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from PIL import Image
from rasterio.windows import Window
from torch import nn

import machine
import pixelwise.predict
from pixelwise import create_model
from pixelwise.data.rasters.files import limited_cache
from pixelwise.networks.segmenter import load
from pixelwise.predict.images import network_input
from pixelwise.predict.rasters.grid import Grid
from pixelwise.predict.windows import predict_logits

WINDOW, ROWS, REACH, SEEN = 1024, 512, 32, (2048, 1024)
RESULT = "large_raster.csv"
ROW = ("part", "what", "value", "unit")
STAGES = {"predicting": (0.0, 0.8), "writing": (0.8, 0.1), "checking": (0.9, 0.1)}
"""Where a run's stages begin, and how long they are, as shares of the moments of kills."""


def network(name):
    """Named "tiny", it takes some 20 ms for a window, "resnet" (fcn on test_resnet) some 300."""
    torch.manual_seed(0)
    if name == "tiny":
        return nn.Sequential(
            nn.AvgPool2d(4),
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 3, 1),
        ).eval()  # fmt: skip
    return create_model("fcn", backbone="test_resnet", num_classes=3, output_stride=32).eval()


def repeated(picture, side, path):
    """A square raster of a picture, again and again; JPEG, tiled, at the picture's place."""
    with rasterio.open(picture) as file:
        values, profile = file.read(), file.profile
    profile.update(width=side, height=side, bigtiff="if_safer")
    with limited_cache(), rasterio.open(path, "w", **profile) as out:
        columns = np.arange(side) % values.shape[2]
        for top in range(0, side, ROWS):
            rows = np.arange(top, min(top + ROWS, side)) % values.shape[1]
            out.write(values[:, rows][:, :, columns], window=Window(0, top, side, len(rows)))
    return path


def run(name, source, out, window, told):
    """In a process of its own: predict a raster, or one window where there is no output."""
    model, about = network(name), {}
    if name == "tiny":
        about = {"scale": 255.0, "mean": 0.45, "std": 0.25}
    if not out:
        with rasterio.open(source) as file:
            values = file.read(window=Window(0, 0, window, window))
        pixelwise.predict.raster(model, values, window=window, **about)
    else:
        start, cpu = time.monotonic(), time.process_time()

        def progress(what, done, total):
            if told:
                print(what, done / total, flush=True)

        pixelwise.predict.raster(
            model, source, out, window=window, as_is=True, progress=progress, **about
        )
        print("seconds", time.monotonic() - start, time.process_time() - cpu, flush=True)
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def started(name, source, out, window=WINDOW, *, told=False):
    words = [sys.executable, __file__, "--run", name, str(source), str(out), str(window)]
    return subprocess.Popen(words + ["told"] * told, stdout=subprocess.PIPE, text=True)


def numbers(process):
    found = [line.split() for line in process.communicate()[0].splitlines()]
    if process.returncode:
        raise SystemExit(f"exit status {process.returncode}")
    return {words[0]: [float(word) for word in words[1:]] for words in found}


def memory(rasters, folder):
    """Peak memory beyond that of one window, and what georeference comes out."""
    for name, sides in (("tiny", [*rasters]), ("resnet", [min(rasters)])):
        bare = numbers(started(name, rasters[min(rasters)], ""))["peak"][0]
        yield f"{name}, one window, no raster", round(bare), "MB"
        for side in sides:
            out = folder / f"{name}{side}.tif"
            found = numbers(started(name, rasters[side], out))
            label = f"{name}, {side} x {side} pixels, {WINDOW} px windows"
            yield label, round(found["peak"][0] - bare), "MB above one window"
            seconds, cpu = found["seconds"]
            yield label, round(side * side / seconds / 1e6, 2), "million pixels per second"
            yield label, round(side * side / cpu / 1e6, 2), "million pixels per CPU second"
            with rasterio.open(rasters[side]) as given, rasterio.open(out) as made:
                same = given.crs == made.crs and given.transform == made.transform
                same = same and given.shape == made.shape and bool(made.overviews(1))
            yield label, int(same), "CRS, transform and size as given, overviews there"


def rate(raster, folder, pairs):
    """Pixels per second beside those of the bare network on the same crops, one after the other."""
    model, out = network("resnet"), folder / "rate.tif"
    task, config = model.task, model.config
    predictor = task.predictor(model)
    mean, std = (torch.tensor(one)[:, None, None] for one in (config.mean, config.std))
    with rasterio.open(raster) as file:
        grid = Grid(file.height, file.width, (WINDOW, WINDOW))
        crops = [
            torch.from_numpy(file.read(window=Window(left, top, *grid.window)))[None]
            for top in grid.tops
            for left in grid.lefts
        ]
    shares, costs = [], []
    for _ in range(pairs):
        start, cpu = time.monotonic(), time.process_time()
        with torch.no_grad():
            for crop in crops:
                predictor((crop.to(torch.float32) / config.scale - mean) / std)
        bare, bare_cpu = time.monotonic() - start, time.process_time() - cpu
        out.unlink(missing_ok=True)
        start, cpu = time.monotonic(), time.process_time()
        pixelwise.predict.raster(model, raster, out, window=WINDOW, as_is=True)
        shares.append(bare / (time.monotonic() - start))
        costs.append(bare_cpu / (time.process_time() - cpu))
    label = f"resnet, {len(crops)} windows, median of {pairs} pairs"
    yield label, round(100 * statistics.median(shares), 1), "% of the bare network's"
    yield label, round(100 * statistics.median(costs), 1), "% of CPU time is the network's"


def kills(raster, folder, count, window, seed=0):
    """A run killed at random moments, those of the last file's writing among them."""
    whole, cut = folder / "whole.tif", folder / "cut.tif"
    for old in (whole, cut):
        old.unlink(missing_ok=True)
    numbers(started("tiny", raster, whole, window))
    rng = random.Random(seed)
    moments = sorted(rng.random() for _ in range(count))
    killed = []
    for moment in moments:
        process = started("tiny", raster, cut, window, told=True)
        for line in process.stdout:
            what, _, share = line.partition(" ")
            begun, length = STAGES.get(what, (0.0, 0.0))
            if begun + length * float(share.split()[0]) >= moment:
                process.kill()
                killed.append(what)
                break
        process.communicate()
    left = numbers(started("tiny", raster, cut, window))
    assert "seconds" in left
    same = hashlib.sha256(whole.read_bytes()).digest() == hashlib.sha256(cut.read_bytes()).digest()
    with rasterio.open(raster) as file:
        label = f"tiny, {file.width} x {file.height} pixels, window {window}"
    stages = ", ".join(f"{killed.count(what)} {what}" for what in STAGES)
    yield f"{label}: {stages}", len(killed), "times killed"
    yield label, int(same), "1: equal bytes afterwards"


def borders(starts, tile, length):
    """How far each pixel of an axis is from the nearest window border inside the raster."""
    ends = {*starts, *(start + tile for start in starts)} - {0, length}
    pixels = np.arange(length)
    return np.min([np.abs(pixels - end) for end in ends], axis=0)


def seams(picture, model, folder):
    """Blended logits beside those of the whole picture, near window borders and far from them.

    "Near" is within REACH pixels. A jump is how much logits differ from one column to the next.
    """
    with rasterio.open(picture) as file:
        values = file.read(window=Window(0, 0, *SEEN))
    task = model.task
    predictor, image = task.predictor(model), network_input(model, torch.from_numpy(values)[None])
    with torch.no_grad():
        whole = predictor(image)[0]
    span, tile = float(whole.max() - whole.min()), SEEN[0] // 4
    for overlap in (0.25, 0.0):
        blended = predict_logits(predictor, image, window=(tile, tile), overlap=overlap)[0]
        grid = Grid(*whole.shape[1:], (tile, tile), overlap)
        rows = borders(grid.tops, tile, grid.height)
        columns = borders(grid.lefts, tile, grid.width)
        near = torch.from_numpy(np.minimum.outer(rows, columns) < REACH)
        error = 100 * (blended - whole).abs().amax(0) / span
        other = 100.0 * (blended.argmax(0) != whole.argmax(0))
        jumps = (blended[:, :, 1:] - blended[:, :, :-1]).abs().mean((0, 1))
        seam = torch.from_numpy(columns[1:] == 0)
        label = f"{model.config.arch}, windows of {tile}, overlap {overlap:g}"
        for place, mask in (("near borders", near), ("far from them", ~near)):
            yield f"{label}: {place}", round(float(error[mask].mean()), 2), "% of the logits' range"
            yield (
                f"{label}: {place}",
                round(float(other[mask].mean()), 2),
                "% of pixels another class",
            )
        ratio = float(jumps[seam].mean() / jumps[~seam].mean())
        yield f"{label}: jump at borders", round(ratio, 2), "of that elsewhere"
        colours = np.array(task.palette, np.uint8)[blended.argmax(0).numpy()]
        shown = np.concatenate([np.moveaxis(values, 0, 2) // 2 + colours // 2, colours], axis=1)
        Image.fromarray(shown).save(folder / f"seams_{overlap:g}.png")


def main():
    if sys.argv[1:2] == ["--run"]:
        name, source, out, window = sys.argv[2:6]
        run(name, source, out, int(window), sys.argv[6:] == ["told"])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--sides", type=int, nargs="*", default=[5000, 40000])
    parser.add_argument("--folder", type=Path, default=Path("scratch"))
    parser.add_argument("--kills", type=int, nargs="*", default=[10, 1], help="as many as --sides")
    parser.add_argument("--network", help="a trained run, for seams")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=["memory", "rate", "kills", "seams"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rasters = {
        side: repeated(options.picture, side, options.folder / f"raster{side}.tif")
        if not (options.folder / f"raster{side}.tif").exists()
        else options.folder / f"raster{side}.tif"
        for side in options.sides
    }
    parts = {
        "memory": lambda: memory(rasters, options.folder),
        "rate": lambda: rate(rasters[options.sides[0]], options.folder, options.pairs),
        "kills": lambda: (
            row
            for side, count in zip(options.sides, options.kills, strict=True)
            for row in kills(rasters[side], options.folder, count, WINDOW if count == 1 else 512)
        ),
        "seams": lambda: seams(options.picture, load(options.network), options.folder),
    }
    rows = []
    if Path(RESULT).exists():
        with Path(RESULT).open() as file:
            rows = [{name: row[name] for name in ROW} for row in csv.DictReader(file)]
    for part in options.only:
        rows = [row for row in rows if row["part"] != part]
        for label, value, unit in parts[part]():
            rows.append(dict(zip(ROW, (part, label, value, unit), strict=True)))
            print(*rows[-1].values(), flush=True)
            machine.write(RESULT, rows)


if __name__ == "__main__":
    main()
