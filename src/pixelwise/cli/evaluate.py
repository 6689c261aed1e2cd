"""`pixelwise evaluate`: scores of trained networks on labelled pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.checks import at_least, in_range, one_of
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model, check_numbers, check_out, is_hub_name
from pixelwise.cli.parsing import AS_IS, CommandParser, command_parser, parse
from pixelwise.cli.views import add_views, check_views, views_of
from pixelwise.devices import DEVICES, pick_device
from pixelwise.errors import InputError
from pixelwise.evaluating.named_data import data_of
from pixelwise.export.named import is_exported, results_of
from pixelwise.language import translate

AUTO = "auto"
TEXT = "Score a trained network on labelled pictures, or compare several on the same pictures."


def main(arguments: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    found = parse(_parser(), arguments)
    one_of(("train", "val", "test"), split=found.split)
    check_numbers(window=found.window, workers=found.workers, device=found.device)
    check_views(found)
    threshold = _threshold(found.threshold, found.split, found.run)
    if found.boundary is not None:
        in_range(0, 50, boundary=found.boundary)
    if found.average is not None:
        at_least(2, average=found.average)
        if threshold == AUTO:
            raise InputError(
                "threshold='auto': is kept with a run's own network; leave out --average, or"
                " evaluate the averaged one after it"
            )
    for run in found.run:
        check_model(run, exported=True)
        if is_exported(run) and (found.average is not None or threshold == AUTO):
            name = "threshold" if found.average is None else "average"
            raise InputError(
                f"{name}={getattr(found, name)}: needs the run that {run} was exported from; give"
                " its folder"
            )
    single = len(found.run) == 1
    check_out(found.out, found.run[0] if single else None)
    data = found.data or data_of(found.run)
    check_data(data)
    with Console(quiet=found.quiet) as console:
        from pixelwise.data.workers import worker_died
        from pixelwise.evaluating.request import Request
        from pixelwise.evaluating.several import check_runs, evaluate_several
        from pixelwise.evaluating.single import evaluate_one

        request = Request(
            runs=tuple(found.run),
            data=data,
            split=found.split,
            out=_out(found),
            window=found.window,
            overlap=found.overlap,
            views=views_of(found),
            boundary=found.boundary,
            threshold=threshold,
            average=found.average,
            workers=found.workers,
            device=pick_device(found.device),
            as_is=found.as_is,
            precision=found.precision,
            compile=found.compile,
        )
        if not single:
            check_runs(request)
        try:
            told = (evaluate_one if single else evaluate_several)(request, console)
        except RuntimeError as error:
            if not worker_died(error):
                raise
            console.warn(
                translate(
                    "stopped: a process that loads pictures was killed, perhaps for lack of"
                    " memory, shared memory (/dev/shm) too; lower --workers"
                )
            )
            return 1
    print(told)
    return 0


def _parser() -> CommandParser:
    parser = command_parser("evaluate", TEXT)
    parser.add_argument(
        "run",
        nargs="+",
        help="folder of a run or model, exported file, or OWNER/NAME on the Hugging Face Hub;"
        " several are compared with the first",
    )
    parser.add_argument(
        "--data", type=str | None, help="data set, as for 'train'; default: the run's own"
    )
    parser.add_argument(
        "--split", type=str, default="val", help="split to score: train, val or test"
    )
    add_views(parser)
    parser.add_argument(
        "--average",
        type=int | None,
        help="average the weights of so many of the run's newest checkpoints",
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
    parser.add_argument(
        "--out",
        type=str | None,
        help="output folder; default: RUN/evaluate/SPLIT, of several runs runs/evaluate/NUMBER",
    )
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    return parser


def _out(found: Any) -> Path | None:
    """Where results go; None: a numbered folder, made when there is something to write."""
    if found.out:
        return Path(found.out)
    if len(found.run) == 1:
        ending = "" if found.average is None else f"_average_{found.average}"
        return results_of(found.run[0]) / "evaluate" / f"{found.split}{ending}"
    return None


def _threshold(text: str | None, split: str, runs: Sequence[str]) -> str | float | None:
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
        if is_hub_name(runs[0]):
            raise InputError(
                f"threshold='auto': is kept in the model's folder, and {runs[0]} is on the Hub;"
                " copy it here, or give a number"
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
