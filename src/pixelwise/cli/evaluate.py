"""`pixelwise evaluate`: a trained network's scores on labelled pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.checks import one_of
from pixelwise.cli.console import Console, score_table
from pixelwise.cli.given import check_data, check_model, check_numbers, check_out
from pixelwise.cli.parsing import AS_IS, command_parser, parse
from pixelwise.devices import DEVICES, pick_device
from pixelwise.errors import InputError
from pixelwise.outputs import Outputs, check_before
from pixelwise.train.saved import find_data, read_settings

FILES = ("metrics.json", "classes.csv", "confusion.png")
TEXT = "Score a trained network: IoU per class, their mean over classes present, pixel accuracy."


def main(arguments: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    parser = command_parser("evaluate", TEXT)
    parser.add_argument(
        "run", type=str, help="folder of a run or model, or OWNER/NAME on the Hugging Face Hub"
    )
    parser.add_argument(
        "--data", type=str | None, help="data set, as for 'train'; default: the run's own"
    )
    parser.add_argument(
        "--split", type=str, default="val", help="split to score: train, val or test"
    )
    parser.add_argument(
        "--window",
        type=int,
        default=1024,
        help="predict larger pictures in tiles of so many pixels",
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that load pictures")
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    parser.add_argument("--out", type=str | None, help="output folder; default: RUN/evaluate/SPLIT")
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    one_of(("train", "val", "test"), split=found.split)
    check_numbers(window=found.window, workers=found.workers, device=found.device)
    check_model(found.run)
    check_out(found.out, found.run)
    run = Path(found.run)
    data = found.data or _data_of(run)
    check_data(data)
    out = Path(found.out) if found.out else run / "evaluate" / found.split
    with Console(quiet=found.quiet) as console:
        from pixelwise.cli.memory import enough_memory
        from pixelwise.data.evaluation import EvaluationSet
        from pixelwise.data.opening import open_data
        from pixelwise.data.workers import worker_died
        from pixelwise.networks.segmenter import load
        from pixelwise.predict.evaluation import evaluate
        from pixelwise.predict.images import expected

        device = pick_device(found.device)
        check_before(out, "evaluate", FILES)
        model = load(found.run)
        source = open_data(data)
        pictures = source.split(found.split)
        _check_fit(model.config, source, found.run)
        console.say(
            f"model   {model.config.arch} on {model.config.backbone}, {found.run}\n"
            f"data    {source.name}: {len(pictures)} pictures of {found.split},"
            f" {len(source.classes)} classes, on {device}"
        )
        config = model.config
        holed: list[tuple[str, int]] = []
        try:
            with enough_memory(model, found.window):
                confusion = evaluate(
                    model.to(device),
                    EvaluationSet(
                        pictures,
                        mean=config.mean,
                        std=config.std,
                        scale=config.scale,
                        expected=None if found.as_is else expected(model),
                    ),
                    window=found.window,
                    device=device,
                    workers=found.workers,
                    on_picture=lambda i, _, __: console.busy("evaluating", i + 1, len(pictures)),
                    on_missing=lambda name, pixels: holed.append((name, pixels)),
                )
        except RuntimeError as error:
            if not worker_died(error):
                raise
            console.warn(
                "stopped: a process that loads pictures was killed, perhaps for lack of memory,"
                " shared memory (/dev/shm) too; lower --workers"
            )
            return 1
        if holed:
            console.warn(
                f"{sum(pixels for _, pixels in holed)} pixels in {len(holed)} pictures, as"
                f" {holed[0][0]}, have no data and do not count"
            )
    _write(out, source.classes.names, confusion, {"data": data, "split": found.split})
    print(score_table(source.classes.names, confusion.scores()))
    print(f"numbers and confusion matrix: {out}")
    return 0


def _data_of(run: Path) -> str:
    path = run / "config.yaml"
    if not path.is_file():
        raise InputError(f"{run}: does not name its data; give --data")
    return find_data(run, read_settings(run).data)


def _check_fit(config: Any, source: Any, run: str) -> None:
    classes = max(config.num_classes, 2)
    if len(source.classes) != classes:
        raise InputError(
            f"{run}: predicts {classes} classes, but {source.name} has {len(source.classes)}"
            f" ({', '.join(source.classes.names)}); evaluate on data with the same classes"
        )
    if config.names and tuple(config.names) != tuple(source.classes.names):
        raise InputError(
            f"{run}: predicts {', '.join(config.names)} in this order, but {source.name} has"
            f" {', '.join(source.classes.names)}; make the names and their order agree"
        )
    if source.bands != config.in_channels:
        raise InputError(
            f"{run}: takes {config.in_channels} bands, but {source.name} has {source.bands};"
            f" select them with 'bands' in data.yaml"
        )


def _write(out: Path, names: tuple[str, ...], confusion: Any, about: dict[str, str]) -> None:
    from pixelwise import pictures

    scores = confusion.scores()
    summary = about | {
        "miou": scores.miou,
        "accuracy": scores.accuracy,
        "iou": dict(zip(names, scores.iou, strict=True)),
        "truth_pixels": dict(zip(names, scores.pixels, strict=True)),
    }
    rows = [
        f"{name},{'' if iou is None else iou},{pixels}"
        for name, iou, pixels in zip(names, scores.iou, scores.pixels, strict=True)
    ]
    contents = (
        (json.dumps(summary, indent=2) + "\n").encode(),
        ("\n".join(["class,iou,truth_pixels", *rows]) + "\n").encode(),
        pictures.confusion_matrix(confusion.matrix.numpy(), names),
    )
    with Outputs(out, "evaluate") as outputs, outputs.writing(*FILES):
        for name, content in zip(FILES, contents, strict=True):
            pictures.write_bytes(out / name, content)
