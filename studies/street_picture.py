"""Draw docs/pictures/street.png: a street, what a network says of it, and where one pixel looks.

python studies/street_picture.py --data camvid --runs runs --out docs/pictures/street.png

trains danet on ResNet-18 from random weights (420 steps of four crops of 192x256 pixels, about 15
minutes on one core), unless the run is there already. The pictures are of CamVid (Brostow et al.
2009, https://doi.org/10.1016/j.patrec.2008.04.005), in the copy of the SegNet tutorial, which
states CC BY-NC 4.0.
"""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pixelwise import explain, load
from pixelwise.data.opening import open_data
from pixelwise.pictures import displayable, legend, overlay, png, write_bytes
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.pictures.overlays import Panel, draw_overlay, mark_query
from pixelwise.predict.images import network_input

SETTINGS = [
    "--model", "danet", "--backbone", "resnet18", "--output-stride", "16", "--steps", "420",
    "--batch-size", "4", "--crop", "192x256", "--lr", "0.002", "--class-weights", "auto",
    "--ema", "0.98", "--scale-min", "0.7", "--scale-max", "1.6", "--validations", "1",
    "--workers", "1", "--seed", "0", "--device", "cpu",
]  # fmt: skip
LAYER = "decoder.position"
WIDTH = 1000
CREDIT = "Picture: CamVid, Brostow et al. 2009, CC BY-NC 4.0"


def trained(data, runs):
    """The run's folder; trained unless it is there."""
    run = Path(runs) / "train" / "street"
    if not (run / "metrics.json").exists():
        words = ["train", "--data", data, *SETTINGS, "--runs", runs, "--name", run.name]
        subprocess.run([sys.executable, "-m", "pixelwise.cli.main", *words], check=True)
    return run


def drawn(model, sample, at):
    """The picture, the prediction over it and the map of one pixel, above names and credit."""
    image, picture = network_input(model, sample.image[None].float()), displayable(sample.image)
    with torch.no_grad():
        classes = model.eval()(image).argmax(1)[0]
    found = explain(model, image, at, layers=[LAYER], rollout=False, deletion=False)
    weights = found.maps[0].spatial.numpy()
    config = model.config
    shown = overlay(picture, classes.numpy(), config.palette)
    name = config.names[int(classes[at])]
    titles = ("image", "prediction", f"where the marked pixel looks ({name})")
    height, width = picture.shape[:2]
    figure = empty_figure(12, 4 * height / width + 0.15)
    for axes, title in zip(figure.subplots(1, 3), titles, strict=True):
        if title in titles[:2]:
            axes.imshow(picture if title == titles[0] else shown)
        else:
            draw_overlay(axes, picture, Panel("", weights / weights.mean(), "weight / mean"))
        if title != titles[1]:
            mark_query(axes, at)
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    panels = np.asarray(Image.open(io.BytesIO(as_png(figure))).convert("RGB"))
    credit = empty_figure(12, 0.3)
    credit.text(0.995, 0.5, CREDIT, ha="right", va="center", fontsize=8)
    line = np.asarray(Image.open(io.BytesIO(as_png(credit))).convert("RGB"))
    colours = dict(zip(config.names, config.palette, strict=True))
    names = np.roll(legend(colours, panels.shape[1]), 24, axis=1)  # not at the very edge
    return np.concatenate([panels, names, line])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--picture", type=int, default=44)
    parser.add_argument("--at", type=int, nargs=2, default=(245, 430))
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    model = load(trained(options.data, options.runs))
    sample = open_data(options.data).split("val")[options.picture]
    sheet = Image.fromarray(drawn(model, sample, tuple(options.at)))
    smaller = sheet.resize((WIDTH, round(sheet.height * WIDTH / sheet.width)), Image.Resampling.BOX)
    write_bytes(Path(options.out), png(np.asarray(smaller)))


if __name__ == "__main__":
    main()
