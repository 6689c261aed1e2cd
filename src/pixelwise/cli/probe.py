"""`pixelwise probe`: how far context reaches through layers."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.cli.console import Console
from pixelwise.cli.given import refuse_given
from pixelwise.cli.parsing import add_settings, command_parser, parse, take
from pixelwise.language import translate
from pixelwise.probe.asked import ProbeSettings

TEXT = (
    "Measure how far context reaches through a layer: a pixel's class depends on a marker at a"
    " distance, e.g.: pixelwise probe psa_s pam isa.  A few minutes for each layer; Ctrl-C keeps"
    " what is done."
)
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Train, print the table and write the folder; returns the exit code."""
    parser = command_parser("probe", TEXT)
    parser.add_argument(
        "layers",
        nargs="*",
        default=[],
        type=str,
        help="layers, with options as in 'isa(down_factors=[(8, 8)])'; all: every layer",
    )
    add_settings(parser, ProbeSettings)
    parser.add_argument("--resume", type=str | None, help="go on with this folder of a probe")
    parser.add_argument("--quiet", action="store_true", help="print the table only")
    found = parse(parser, arguments)
    settings = take(found, ProbeSettings)
    if found.resume is not None:
        usual = {name: getattr(ProbeSettings(), name) for name in vars(settings)}
        refuse_given(found, usual, "is what it was with --resume; leave it out")
    with Console(quiet=found.quiet) as console:
        return _probe(found.layers or [], settings, found.resume, console)


def _probe(
    layers: Sequence[str], settings: ProbeSettings, resume: str | None, console: Console
) -> int:
    console.say(translate("loading PyTorch ..."))
    from pixelwise.probe.run import prepared, resumed, run_probe
    from pixelwise.probe.text import text_table
    from pixelwise.probe.writing import write

    if resume is None:
        probe = prepared(layers, settings, console.warn)
    else:
        probe = resumed(Path(resume), layers, console.warn)
    settings = probe.results.settings
    done = len(probe.results.trained)
    console.say(
        translate("{join}: maps of {size}x{size}, {steps} steps for each of {asked}").format(
            join=", ".join(subject.name for subject in probe.subjects),
            size=settings.size,
            steps=settings.steps,
            asked=", ".join(settings.asked),
        )
        + (
            translate("; {done} of these trainings are done already").format(done=done)
            if done
            else ""
        )
    )
    code = 0
    try:
        curves = run_probe(probe, console)
    except KeyboardInterrupt:
        code, curves = INTERRUPTED, write(probe.results, probe.folder)
    for line in text_table(probe.results, curves):
        console.print(line)
    if code:
        console.warn(
            translate(
                "interrupted; what was done is kept, go on with: pixelwise probe --resume {folder}"
            ).format(folder=probe.folder)
        )
    else:
        console.print(translate("page, tables and pictures: {folder}").format(folder=probe.folder))
    return code
