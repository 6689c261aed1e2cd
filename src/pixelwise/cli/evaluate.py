"""`pixelwise evaluate`: a trained network's scores on labelled pictures."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pixelwise.checks import in_range, one_of
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model, check_numbers, check_out, is_hub_name
from pixelwise.cli.parsing import AS_IS, command_parser, parse
from pixelwise.devices import DEVICES, pick_device
from pixelwise.errors import InputError
from pixelwise.outputs import Outputs, check_before
from pixelwise.train.saved import find_data, read_settings

METRICS = "metrics.json"
AUTO = "auto"
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
    parser.add_argument(
        "--boundary",
        type=int | None,
        help="score borders too, tolerating so many pixels; for one class per pixel",
    )
    parser.add_argument(
        "--threshold",
        type=str | None,
        help="probability from which on a pixel is of class 1, for task binary; auto: the best on"
        " val, which is kept with the network",
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that load pictures")
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    parser.add_argument("--out", type=str | None, help="output folder; default: RUN/evaluate/SPLIT")
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    one_of(("train", "val", "test"), split=found.split)
    check_numbers(window=found.window, workers=found.workers, device=found.device)
    threshold = _threshold(found.threshold, found.split, found.run)
    if found.boundary is not None:
        in_range(0, 50, boundary=found.boundary)
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
        from pixelwise.predict.threshold import keep, with_threshold
        from pixelwise.predict.worst import FILES, Worst

        device = pick_device(found.device)
        model = load(found.run)
        task = model.task
        scorer = task.examiner(boundary=found.boundary)
        if threshold is not None and task.key != "binary":
            raise InputError(
                f"threshold={found.threshold!r}: is for task 'binary', {found.run} is for"
                f" {task.key!r}; leave it out"
            )
        files = (METRICS, *task.result_files, *task.examiner_files, *FILES)
        check_before(out, "evaluate", files)
        source = open_data(data)
        pictures = source.split(found.split)
        _check_fit(model, source, found.run)
        console.say(
            f"model   {model.config.arch} on {model.config.backbone}, {found.run}\n"
            f"data    {source.name}: {len(pictures)} pictures of {found.split},"
            f" {source.contents}, on {device}"
        )
        config = model.config
        prepared = task.evaluation_set(
            pictures,
            mean=config.mean,
            std=config.std,
            scale=config.scale,
            expected=None if found.as_is else expected(model),
        )
        scores = partial(
            evaluate,
            model.to(device),
            prepared,
            window=found.window,
            device=device,
            workers=found.workers,
        )

        def seen(index: int, answer: Any, target: Any) -> None:
            console.busy("evaluating", index + 1, len(pictures))
            worst.see(index, answer, target)

        holed: list[tuple[str, int]] = []
        worst = Worst(scorer)
        try:
            with enough_memory(model, found.window):
                if threshold == AUTO:
                    threshold = _best(scores(scorer=task.examiner()), source)
                    keep(run, with_threshold(config, threshold))
                    console.say(f"threshold {threshold:g}, kept in {run}")
                if threshold is not None:
                    model.config = with_threshold(config, threshold)
                result = scores(
                    scorer=scorer,
                    on_picture=seen,
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
        shown = {
            **result.picture_files(lambda i: displayable(pictures[i].image)),
            **worst.files(pictures, task),
        }
    about: dict[str, Any] = {"data": data, "split": found.split}
    if "threshold" in model.config.task_options:
        about["threshold"] = model.config.task_options["threshold"]
    _write(out, result, about, shown)
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


def _threshold(text: str | None, split: str, run: str) -> Any:
    """What --threshold says: nothing, "auto" or a number.

    Raises:
        InputError: Something else, or "auto" where it cannot be chosen or kept.
    """
    if text is None:
        return None
    if text == AUTO:
        if split != "val":
            raise InputError(
                f"threshold='auto': is chosen on val, not on {split}; evaluate val with it first"
            )
        if is_hub_name(run):
            raise InputError(
                f"threshold='auto': is kept in the model's folder, and {run} is on the Hub; copy it"
                " here, or give a number"
            )
        return AUTO
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise InputError(
            f"threshold={text!r}: must be auto, or a probability between 0 and 1; e.g. 0.5"
        )
    return value


def _best(result: Any, source: Any) -> float:
    if result.best_threshold is None:
        raise InputError(
            f"threshold='auto': no pixel of {source.classes.names[1]} in val of {source.name};"
            " give a number"
        )
    return result.best_threshold


def _write(out: Path, result: Any, about: dict[str, Any], shown: Any) -> None:
    from pixelwise import pictures

    summary = about | dict(result.summary())
    files = {METRICS: (json.dumps(summary, indent=2) + "\n").encode(), **result.files(), **shown}
    with Outputs(out, "evaluate") as outputs, outputs.writing(*files):
        for name, content in files.items():
            pictures.write_bytes(out / name, content)
