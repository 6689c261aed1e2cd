"""A trained network in eager PyTorch, in ONNX Runtime, in float16 and in int8: scores and time.

pixelwise export runs/train/1 --out street.onnx --half --data camvid
pixelwise export runs/train/1 --out street.onnx --quantize int8 --data camvid
python studies/onnx_runtime.py runs/train/1 street.onnx --data camvid --out studies/onnx.csv

Scores are of all pictures of val; `--timed-only` leaves them out. All forms take turns on the same
pictures in one process: `times` is the median over pictures of eager's seconds over theirs. `same`
is the share of pixels that get eager's class, `off` the largest difference from eager's logits over
their range.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

import machine
from pixelwise.data.opening import open_data
from pixelwise.evaluating.precision import name_of
from pixelwise.export.opening import open_model
from pixelwise.predict.evaluation import evaluate


def in_turn(models, images, rounds):
    """By form: median seconds and logits of each picture."""
    spent, said = {name: [] for name in models}, {name: [] for name in models}
    for image in images:
        each = {name: [] for name in models}
        for turn in range(rounds):
            for name, model in models.items():
                begun = time.perf_counter()
                logits = model(image)
                each[name].append(time.perf_counter() - begun)
                if not turn:
                    said[name].append(logits)
        for name, seconds in each.items():
            spent[name].append(statistics.median(seconds))
    return spent, said


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timed-only", action="store_true")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    files = {"eager": Path(options.run), "ONNX Runtime": options.file}
    for form in ("half", "int8"):
        files[f"ONNX Runtime, {form}"] = name_of(options.file, form)
    models = {name: open_model(file) for name, file in files.items() if file.exists()}
    eager = models["eager"]
    config = eager.config
    items = eager.task.evaluation_set(
        open_data(options.data).split("val"),
        mean=config.mean,
        std=config.std,
        scale=config.scale,
    )
    chosen = range(0, len(items), max(1, len(items) // options.pictures))
    images = [items[number][0][None] for number in chosen]
    for model in models.values():
        model(images[0])
    spent, said = in_turn(models, images, options.rounds)
    rows = []
    for name, model in models.items():
        pairs = list(zip(said[name], said["eager"], strict=True))
        off = max(float((f - w).abs().max() / (w.max() - w.min())) for f, w in pairs)
        same = [(f.argmax(1) == w.argmax(1)).float().mean().item() for f, w in pairs]
        ratios = [e / t for e, t in zip(spent["eager"], spent[name], strict=True)]
        file = files[name] / "model.safetensors" if name == "eager" else files[name]
        scores = {}
        if not options.timed_only:
            numbers = evaluate(model, items, window=1024).numbers()
            scores = {key: f"{numbers[key]:.4f}" for key in ("miou", "accuracy")}
        rows.append(
            {
                "network": f"{config.arch} on {config.backbone}",
                "data": Path(options.data).name,
                "size": "x".join(map(str, images[0].shape[2:])),
                "form": name,
                "miou": scores.get("miou", ""),
                "accuracy": scores.get("accuracy", ""),
                "seconds": f"{statistics.median(spent[name]):.3f}",
                "times": f"{statistics.median(ratios):.2f}",
                "same": f"{statistics.mean(same):.5f}",
                "off": f"{off:.1e}",
                "mb": f"{file.stat().st_size / 1e6:.2f}",
            }
        )
        print(rows[-1], flush=True)
        machine.write(options.out, rows)


if __name__ == "__main__":
    main()
