"""`pixelwise train`: a network on one's own pictures."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.cli.console import Console, score_table
from pixelwise.cli.parsing import add_settings, changed, command_parser, parse, take
from pixelwise.errors import InputError
from pixelwise.train.presets import preset_file
from pixelwise.train.settings import TrainSettings

LENGTHS = ("epochs", "steps", "time_limit")
TEXT = "Train a segmentation network; all results are written to runs/train/NAME/."


def main(arguments: Sequence[str]) -> int:
    """Train or go on with a run; returns the exit code."""
    parser = command_parser("train", TEXT)
    add_settings(parser, TrainSettings)
    parser.add_argument(
        "--preset", type=str | None, help="published recipe to start from, e.g. mmsegmentation_80k"
    )
    parser.add_argument(
        "--resume", type=str | None, help="folder of an interrupted run to continue"
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if found.preset is not None:  # read first, so that what else is given takes its place
        lengths = {name: getattr(found, name) for name in LENGTHS}
        found = parse(parser, ["--config", preset_file(found.preset), *arguments])
        if any(value is not None for value in lengths.values()):
            for name, value in lengths.items():
                setattr(found, name, value)
    resume = None
    if found.resume is None:
        settings = take(found, TrainSettings)
    else:
        if given := changed(found, TrainSettings):
            raise InputError(
                f"resume={found.resume!r}: goes on with the run's own settings; leave out"
                f" {', '.join(given)}"
            )
        resume = Path(found.resume)
        settings = _settings_of(resume)
    return _train(settings, resume, quiet=found.quiet)


def _settings_of(run: Path) -> TrainSettings:
    from pixelwise.train.run import read_settings

    return read_settings(run)


def _train(settings: TrainSettings, resume: Path | None, *, quiet: bool) -> int:
    with Console(quiet=quiet) as console:
        from pixelwise.train.interrupt import Interrupted
        from pixelwise.train.loop import Stopped
        from pixelwise.train.run import train

        try:
            finished = train(settings, console, resume=resume)
        except Interrupted as stop:
            console.warn(
                f"interrupted by {stop} after step {stop.step}; the state is saved."
                f" Go on with: pixelwise train --resume {stop.run}"
            )
            return stop.exit_code
        except Stopped as stop:
            console.warn(f"stopped: {stop}")
            return 1
    if finished is None:
        print(f"{resume} is finished already; see {resume}/metrics.json")
        return 0
    print(score_table(finished.names, finished.scores), flush=True)
    print(
        f"best of val at step {finished.best_step} of {finished.steps}, after"
        f" {finished.seconds:.0f} s of training and evaluation\n"
        f"weights, pictures and numbers: {finished.run}\n"
        f"next: pixelwise predict {finished.run} PICTURES"
    )
    return 0
