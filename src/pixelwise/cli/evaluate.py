"""`pixelwise evaluate`: a trained network's scores on labelled pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelwise.checks import one_of
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model, check_numbers, check_out
from pixelwise.cli.parsing import AS_IS, command_parser, parse
from pixelwise.devices import DEVICES, pick_device
from pixelwise.errors import InputError
from pixelwise.outputs import Outputs, check_before
from pixelwise.train.saved import find_data, read_settings

METRICS = "metrics.json"
TEXT = "Score a trained network on labelled pictures."


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
        from pixelwise.data.opening import open_data
        from pixelwise.data.workers import worker_died
        from pixelwise.networks.segmenter import load
        from pixelwise.pictures import displayable
        from pixelwise.predict.evaluation import evaluate
        from pixelwise.predict.images import expected

        device = pick_device(found.device)
        model = load(found.run)
        check_before(out, "evaluate", (METRICS, *model.task.result_files))
        source = open_data(data)
        pictures = source.split(found.split)
        _check_fit(model, source, found.run)
        console.say(
            f"model   {model.config.arch} on {model.config.backbone}, {found.run}\n"
            f"data    {source.name}: {len(pictures)} pictures of {found.split},"
            f" {source.contents}, on {device}"
        )
        config = model.config
        holed: list[tuple[str, int]] = []
        try:
            with enough_memory(model, found.window):
                result = evaluate(
                    model.to(device),
                    model.task.evaluation_set(
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
    drawn = result.picture_files(lambda i: displayable(pictures[i].image))
    _write(out, result, drawn, {"data": data, "split": found.split})
    print(result.table())
    print(f"numbers and pictures: {out}")
    return 0


def _data_of(run: Path) -> str:
    path = run / "config.yaml"
    if not path.is_file():
        raise InputError(f"{run}: does not name its data; give --data")
    return find_data(run, read_settings(run).data)


def _check_fit(model: Any, source: Any, run: str) -> None:
    from pixelwise.tasks.base import NOUNS

    model.task.check_source(source)
    config, noun = model.config, NOUNS[source.kind]
    if config.num_classes != model.task.num_classes(source):
        raise InputError(
            f"{run}: predicts {len(config.names) or config.num_classes} {noun}, but {source.name}"
            f" has {len(source.classes)} ({', '.join(source.classes.names)}); evaluate on data with"
            f" the same {noun}"
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


def _write(out: Path, result: Any, drawn: Mapping[str, bytes], about: dict[str, str]) -> None:
    from pixelwise import pictures

    summary = about | dict(result.summary())
    numbers = (json.dumps(summary, indent=2) + "\n").encode()
    files = {METRICS: numbers, **result.files(), **drawn}
    with Outputs(out, "evaluate") as outputs, outputs.writing(*files):
        for name, content in files.items():
            pictures.write_bytes(out / name, content)
