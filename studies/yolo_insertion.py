"""A YOLO segmentation network with `psa_s` in three places, from training to exported files.

python studies/yolo_insertion.py --out studies/yolo_insertion.csv

trains yolo11n-seg from random weights for 50 steps on drawn triangles and octagons, and looks at
the insertions after everything that Ultralytics does. One place is a batch norm, which `fuse` takes
away. Where `pixelwise.hosts` does not exist (an older version), the usual trainer trains.
"""

import argparse
import copy
import importlib.util
import math
import os
import random
import tempfile
from pathlib import Path

import onnxruntime
import torch
import yaml
from PIL import Image, ImageDraw

import machine
import pixelwise
from pixelwise.insertion.attached import insertions_of

PLACES = "model.9=psa_s, model.16=psa_s, model.13.cv2.bn=psa_s"
TRAINING = {
    "imgsz": 64, "epochs": 25, "batch": 4, "nbs": 4, "workers": 0, "device": "cpu", "amp": False,
    "optimizer": "AdamW", "lr0": 0.01, "warmup_epochs": 0, "mosaic": 0, "plots": False,
    "verbose": False, "val": False, "exist_ok": True,
}  # fmt: skip


def draw_set(folder, count=8, size=64):
    """Write pictures of a triangle and an octagon, labelled by polygons; what `data=` takes."""
    draw = random.Random(0)
    for split in ("train", "val"):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number in range(count):
            picture, lines = Image.new("RGB", (size, size), (40, 40, 40)), []
            for label, corners in enumerate((3, 8)):
                x, y = 0.28 + 0.44 * label, draw.uniform(0.3, 0.7)
                turn, radius = draw.uniform(0, 6), draw.uniform(0.14, 0.2)
                angles = [turn + 2 * math.pi * k / corners for k in range(corners)]
                points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]
                colour = ((220, 60, 60), (60, 90, 220))[label]
                pixels = [(size * x, size * y) for x, y in points]
                ImageDraw.Draw(picture).polygon(pixels, fill=colour)
                values = [f"{value:.4f}" for point in points for value in point]
                lines.append(" ".join([str(label), *values]))
            picture.save(images / f"{number}.png")
            (labels / f"{number}.txt").write_text("\n".join(lines))
    data = {"path": str(folder), "train": "images/train", "val": "images/val"}
    data["names"] = {0: "triangle", 1: "octagon"}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    return folder / "data.yaml"


def output(network, picture):
    """The first tensor that a network gives in eval mode: boxes, classes and mask coefficients."""
    with torch.no_grad():
        found = copy.deepcopy(network).eval()(picture)
    while not isinstance(found, torch.Tensor):
        found = found[0]
    return found


def keys(network):
    """How many parameters of a network are of insertions."""
    return sum(name.startswith("inserted.") for name, _ in network.named_parameters())


def share(found, wanted):
    """The largest difference, as a share of the output's range."""
    return float((found - wanted).abs().max() / (wanted.max() - wanted.min()))


def trained(folder, **changes):
    """A network after its training, and how many inserted keys it and the trainer's network had."""
    from ultralytics import YOLO

    torch.manual_seed(0)
    yolo = YOLO("yolo11n-seg.yaml")
    pixelwise.insert(yolo.model, PLACES)
    rows = [{"step": "inserted", "keys": keys(yolo.model)}]
    options = {**TRAINING, "data": str(draw_set(folder / "set")), "project": str(folder), **changes}
    if importlib.util.find_spec("pixelwise.hosts"):
        from pixelwise.hosts import ultralytics as adapter

        options["trainer"] = type("Faster", (adapter.trainer(yolo),), {"insert_lr": 10.0})
    yolo.train(**options)
    rows.append({"step": "in the trainer's network", "keys": keys(yolo.trainer.model)})
    yolo = YOLO(yolo.trainer.best)
    return yolo, [*rows, {"step": "best.pt, loaded", "keys": keys(yolo.model)}]


def afterwards(yolo, folder):
    """What the inserted layers do, and how far the output is from it after fuse and export."""
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted, without = output(yolo.model, picture), copy.deepcopy(yolo.model)
    for attached in insertions_of(without).attached():
        attached.gain.data.zero_()
    rows = [{"step": "without the layers", "difference": share(output(without, picture), wanted)}]
    yolo.save(folder / "saved.pt")
    again = type(yolo)(folder / "saved.pt")
    rows.append(
        {"step": "saved and loaded", "difference": share(output(again.model, picture), wanted)}
    )
    wanted = output(again.model, picture)
    files = {"onnx": again.export(format="onnx", imgsz=64, simplify=False)}
    files["torchscript"] = again.export(format="torchscript", imgsz=64)
    seen = []
    again.model.register_forward_hook(lambda network, inputs, found: seen.append((inputs, found)))
    again.predict(folder / "set/images/val/0.png", imgsz=64, verbose=False, device="cpu")
    (given, *_), found = seen[-1]
    while not isinstance(found, torch.Tensor):
        found = found[0]
    fresh = type(yolo)(folder / "saved.pt")
    rows.append({"step": "predict", "difference": share(found, output(fresh.model, given))})
    again = fresh
    again.fuse()
    rows.append({"step": "fused", "difference": share(output(again.model, picture), wanted)})
    session = onnxruntime.InferenceSession(files["onnx"])
    found = torch.from_numpy(session.run(None, {"images": picture.numpy()})[0])
    rows.append({"step": "ONNX in onnxruntime", "difference": share(found, wanted)})
    found = torch.jit.load(files["torchscript"])(picture)[0]
    rows.append({"step": "TorchScript", "difference": share(found.reshape(wanted.shape), wanted)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("yolo_insertion.csv"))
    parser.add_argument("--version", default="now", help="name of the version in the rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"YOLO_CONFIG_DIR": name, "YOLO_OFFLINE": "true"}
        yolo, rows = trained(folder)
        if not keys(yolo.model):  # the older version: give it the layers that it lost
            for attached in pixelwise.insert(yolo.model, PLACES).attached():
                attached.gain.data.fill_(0.5)
        rows += afterwards(yolo, folder)
    machine.write(options.out, [{"version": options.version, **row} for row in rows])


if __name__ == "__main__":
    main()
