"""`pixelwise train`: a network on one's own pictures."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import SUPPRESS, Namespace

from pixelwise.allocation import keep_freed_memory
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model, check_run
from pixelwise.cli.looking import look_at
from pixelwise.cli.parsing import add_settings, changed, command_parser, parse, take
from pixelwise.errors import InputError
from pixelwise.language import spoken, translate
from pixelwise.train.presets import preset_file
from pixelwise.train.saved import find_data, naming_settings, read_settings
from pixelwise.train.settings import TrainSettings
from pixelwise.train.started import how_started

TEXT = "Train a segmentation network; all results are written to runs/train/NAME/."


def main(arguments: Sequence[str]) -> int:
    """Train or go on with a run; returns the exit code."""
    if how_started().count == 1:
        return _main(arguments)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP's advice, from every process
    from pixelwise.train.processes import joined

    with joined():
        return _main(arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = command_parser("train", TEXT)
    add_settings(parser, TrainSettings)
    parser.add_argument(
        "--preset", type=str | None, help="published recipe to start from, e.g. mmsegmentation_80k"
    )
    parser.add_argument(
        "--resume", type=str | None, help="folder of an interrupted run to continue"
    )
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help=SUPPRESS,  # said where it is needed: --resume after classes changed
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if found.preset is not None:
        found = parse(parser, arguments, preset_file(found.preset))
    if found.resume is None:
        settings = take(found, TrainSettings)
        if found.accept_changes:
            raise InputError("accept_changes=True: is for --resume; leave it out")
        check_data(settings.data)
        if settings.start is not None:
            check_model(settings.start)
        return _train(settings, None, found)
    if given := [name for name in changed(found, TrainSettings) if name != "data"]:
        raise InputError(
            f"resume={found.resume!r}: goes on with the run's own settings; leave out"
            f" {', '.join(given)}"
        )
    check_run(found.resume)
    run = Path(found.resume)
    settings = read_settings(run)
    if found.data:
        data = found.data
        check_data(data)
    else:
        with naming_settings(run):
            data = find_data(run, settings.data)
            check_data(data)
    return _train(dataclasses.replace(settings, data=data), run, found)


def _train(settings: TrainSettings, resume: Path | None, found: Namespace) -> int:
    with Console(quiet=found.quiet) as console:
        from pixelwise.devices import pick_device
        from pixelwise.train.interrupt import Interrupted, Stopped
        from pixelwise.train.run import train

        if pick_device(settings.device) == "cpu" and keep_freed_memory():
            console.say(translate("memory  what a step frees is kept for the next one"))
        try:
            finished = train(
                settings,
                console,
                resume=resume,
                accept_changes=found.accept_changes,
                warn=console.warn,
                look=functools.partial(look_at, console),
            )
        except Interrupted as stop:
            console.warn(
                translate(
                    "interrupted by {stop} after step {step}; the state is saved. Go on"
                    " with: pixelwise train --resume {run}"
                ).format(stop=stop, step=stop.step, run=stop.run)
            )
            return stop.exit_code
        except Stopped as stop:
            console.warn(translate("stopped: {stop}").format(stop=stop))
            return 1
    if finished is None:
        print(
            translate("{resume} is finished already; see {resume}/metrics.json").format(
                resume=resume
            )
        )
        return 0
    print(finished.result.table(), flush=True)
    for line in finished.warnings:
        console.warn(translate("warning: {line}").format(line=spoken(line)))
    print(
        translate(
            "best of val at step {best_step} of {steps}, after {seconds:.0f} s of"
            " training and evaluation\n"
            "weights, pictures and numbers: {run}\n"
            "next: pixelwise predict {run} PICTURES"
        ).format(
            best_step=finished.best_step,
            steps=finished.steps,
            seconds=finished.seconds,
            run=finished.run,
        )
    )
    return 0
