"""`pixelwise compare`: which attention is worth its cost on one's own data."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model, refuse_given
from pixelwise.cli.looking import look_at
from pixelwise.cli.parsing import add_settings, changed, command_parser, parse, take
from pixelwise.cluster.connection import check_cluster
from pixelwise.compare.asked import ASKED, CompareSettings, read_asked
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.train.presets import preset_file
from pixelwise.train.saved import find_data

TEXT = """Train a network with nothing, with each attention layer, and with plain convolutions of
each layer's cost, all with the same seeds, and say which layer is worth its cost. The report is
written to runs/compare/NAME/."""


ELSEWHERE = ("data", "cluster", "at_once", "gpu_share", "device", "workers")
"""What may be another when a comparison goes on: it changes no number."""


def main(arguments: Sequence[str]) -> int:
    """Compare, or go on with a comparison; returns the exit code."""
    parser = command_parser("compare", TEXT)
    add_settings(parser, CompareSettings)
    parser.add_argument(
        "--preset", type=str | None, help="a comparison that is written down: small or large"
    )
    parser.add_argument(
        "--resume", type=str | None, help="folder of an unfinished comparison to go on with"
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="with --resume: train nothing, write the report of the runs that are finished",
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if found.preset is not None:
        found = parse(parser, arguments, preset_file(found.preset, "pixelwise.compare"))
    if found.resume is None:
        settings = take(found, CompareSettings)
        check_data(settings.data)
        if settings.start is not None:
            check_model(settings.start)
        if found.report:
            raise InputError("report=True: is for --resume; leave it out")
        _check_cluster(found)
        return _compare(settings, None, found)
    _check_cluster(found)
    if given := [n for n in changed(found, CompareSettings) if n not in ELSEWHERE]:
        raise InputError(
            f"resume={found.resume!r}: goes on with the comparison's own settings; leave out"
            f" {', '.join(given)}"
        )
    return _compare(*_left(found), found)


def _check_cluster(found: Namespace) -> None:
    if found.cluster is None:
        refuse_given(found, {"at_once": None, "gpu_share": 1.0}, "is for a cluster; add --cluster")
        return
    check_cluster(found.cluster)


def _left(found: Namespace) -> tuple[CompareSettings, Path]:
    """What is to be gone on with."""
    folder = Path(found.resume)
    settings = read_asked(folder)
    data = found.data or find_data(folder, settings.data, ASKED)
    check_data(data)
    names = {*changed(found, CompareSettings), "cluster", "at_once", "gpu_share"}  # as given now
    others = {name: getattr(found, name) for name in names}
    return dataclasses.replace(settings, **{**others, "data": data}), folder


def _compare(settings: CompareSettings, resume: Path | None, found: Namespace) -> int:
    with Console(quiet=found.quiet) as console:
        console.say(translate("loading PyTorch ..."))
        from pixelwise.compare.comparison import compare
        from pixelwise.train.interrupt import Interrupted, Stopped

        try:
            told = compare(
                settings,
                console,
                resume=resume,
                warn=console.warn,
                look=functools.partial(look_at, console),
                report_only=found.report,
            )
        except Interrupted as stop:
            folder = stop.run.parents[2]
            console.warn(
                translate(
                    "interrupted by {stop}; finished runs are kept, and this one at step"
                    " {step}. Go on with: pixelwise compare --resume {folder}"
                ).format(stop=stop, step=stop.step, folder=folder)
            )
            return stop.exit_code
        except Stopped as stop:
            console.warn(translate("stopped: {stop}").format(stop=stop))
            return 1
    print(told)
    return 0
