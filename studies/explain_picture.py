"""Draw docs/pictures/explain.png: a pixel that can only be told by looking elsewhere.

python studies/explain_picture.py --runs runs --out docs/pictures/explain.png

trains a small network with one attention layer on made-up scenes (2 minutes), unless the run is
there already, and explains a boat. Boats and cars look alike in these scenes; the harbour or the
car park at the end of the ways decides.
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
from pixelwise.data.source import open_data
from pixelwise.explanation.page.drawing import draw_maps
from pixelwise.explanation.page.verdict import judge
from pixelwise.explanation.queries import automatic_queries
from pixelwise.pictures import displayable, png, write_bytes
from pixelwise.pictures.evidence import deletion_curves
from pixelwise.pictures.figures import as_png, empty_figure
from pixelwise.predict.images import network_input

DATA = "scenes:seed=0,size=160,train=600,val=40,test=80"
SETTINGS = [
    "--data", DATA, "--model", "fcn", "--backbone", "test_resnet", "--output-stride", "8",
    "--attention", "pam@4", "--steps", "400", "--batch-size", "8", "--lr", "0.003",
    "--crop", "160", "--scale-min", "1", "--scale-max", "1", "--flip-vertical", "--rotate",
    "--class-weights", "auto", "--validations", "4", "--workers", "0", "--seed", "0",
    "--device", "cpu",
]  # fmt: skip
SCENE, CLASS = 7, "boat"


def trained(runs):
    """The run's folder; trained unless it is there."""
    run = Path(runs) / "train" / "explain_picture"
    if not (run / "metrics.json").exists():
        words = ["train", *SETTINGS, "--runs", runs, "--name", run.name]
        subprocess.run([sys.executable, "-m", "pixelwise.cli.main", *words], check=True)
    return run


def explained(run):
    """Of the class's pixels that the network gets right, the one farthest from all others."""
    model, test = load(run), open_data(DATA).split("test")
    sample, index = test[SCENE], test.classes.names.index(CLASS)
    image = network_input(model, sample.image[None].float())
    with torch.no_grad():
        right = (model(image).argmax(1)[0] == index) & (sample.mask == index)
    (at,) = automatic_queries(right.long(), ignore=0)
    return explain(model, image, at, picture=displayable(sample.image))


def text(words, width, **style):
    """Lines of text as a picture of `width` pixels."""
    figure = empty_figure(width / 150, 0.18 * (2 + words.count("\n")))
    figure.text(0.01, 0.5, words, va="center", **style)
    return as_png(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    found = explained(trained(options.runs))
    (deletion,) = found.deletions
    verdict = judge(deletion)
    curves = deletion_curves(
        deletion.shares, deletion.attended, deletion.random, marked=verdict.share
    )
    maps = draw_maps(found, found.maps)
    width = Image.open(io.BytesIO(maps)).width
    sentence = verdict.sentence.replace(", deleting", ",\ndeleting")
    parts = [
        text(f"Why {CLASS}? Where the network looks", width, fontsize=12, weight="bold"),
        maps,
        text("Does the map tell what matters?", width, fontsize=12, weight="bold"),
        curves,
        text(sentence, width, fontsize=9.5),
    ]
    sheets = [np.asarray(Image.open(io.BytesIO(part)).convert("RGB")) for part in parts]
    pads = [((0, 0), (0, width - sheet.shape[1]), (0, 0)) for sheet in sheets]
    rows = [np.pad(*pair, constant_values=255) for pair in zip(sheets, pads, strict=True)]
    write_bytes(Path(options.out), png(np.concatenate(rows)))
    print(f"{options.out}: {verdict.sentence}")


if __name__ == "__main__":
    main()
