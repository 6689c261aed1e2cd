"""`pixelwise check-data`: everything that is wrong with a data set, and whether to train on it."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelwise.checks import in_range
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_out
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.data.augmenting.asked import read_augment
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.outputs import Outputs, check_before

FILES = ("report.html", "findings.json")
AUGMENTED = "augmented.png"
MOST_WORKERS = 8
TEXT = (
    "Read every picture and mask of a data set and name all that is wrong, with files, counts and"
    " remedies. Exit code 0: training may start; 1: something stops it; 2: it cannot be read."
)


def main(arguments: Sequence[str]) -> int:
    """Check; returns 0, or 1 where a training must not start."""
    parser = command_parser("check-data", TEXT)
    parser.add_argument(
        "data", type=str, help="a data.yaml, a classes.csv, or a folder, also of pictures alone"
    )
    parser.add_argument(
        "--fix",
        type=str | None,
        metavar="FILE",
        help="write a data.yaml that mends what it can mend, and check that",
    )
    parser.add_argument(
        "--out", type=str | None, help="output folder; default: runs/check-data/NAME"
    )
    parser.add_argument(
        "--workers", type=int | None, help="processes that read; default: one per core, at most 8"
    )
    parser.add_argument(
        "--augmented", action="store_true", help=f"draw {AUGMENTED}: what augmentations do"
    )
    parser.add_argument(
        "--augment",
        type=str | None,
        help="the augmentations that --augmented draws, as for train; default: all that suit",
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    workers = min(MOST_WORKERS, os.cpu_count() or 1) if found.workers is None else found.workers
    in_range(0, 256, workers=workers)
    if not found.data.strip():
        raise InputError("data='': must be given; write a data.yaml or a folder")
    check_data(found.data)
    check_out(found.out)
    if found.augment is not None and not found.augmented:
        raise InputError(f"augment={found.augment!r}: is drawn by --augmented; add it")
    read_augment(found.augment)
    out = Path(found.out) if found.out else Path("runs/check-data") / _name(found.data)
    with Console(quiet=found.quiet) as console:
        from pixelwise.doctor.examine import examine
        from pixelwise.doctor.page import lines, verdict
        from pixelwise.doctor.repair import check_target, write_repaired

        if found.fix is not None:
            check_target(found.data, Path(found.fix))
        check_before(out, "check-data", (*FILES, *[AUGMENTED] * found.augmented))
        examined = examine(
            found.data,
            workers=workers,
            progress=lambda done, total: console.busy("reading", done, total),
        )
        for line in lines(examined):
            console.say(line)
        mended = None
        if found.fix is not None:
            mended = write_repaired(
                examined,
                Path(found.fix),
                workers=workers,
                progress=lambda done, total: console.busy(translate("reading again"), done, total),
            )
            if mended is None:
                console.print(
                    translate(
                        "fix     nothing that a data.yaml could mend; {fix} is as it was"
                    ).format(fix=found.fix)
                )
            else:
                for line in lines(mended):
                    console.say(translate("after {fix}: {line}").format(fix=found.fix, line=line))
        last = examined if mended is None else mended
        drawn = {}
        if found.augmented and last.may_start:
            from pixelwise.pictures.files import png
            from pixelwise.train.augmented import augmented_sheet

            looked_at = found.data if mended is None else found.fix
            drawn[AUGMENTED] = png(augmented_sheet(looked_at, found.augment))
        elif found.augmented:
            console.print(
                translate("drawing {augmented} has to wait until training may start").format(
                    augmented=AUGMENTED
                )
            )
        _write(out, last, _name(found.data), drawn)
    if drawn:
        print(translate("augmented: {out}").format(out=out / AUGMENTED))
    if mended is not None:
        print(translate("written: {fix}").format(fix=found.fix))
    print(translate("{verdict}: {page}").format(verdict=verdict(last), page=out / FILES[0]))
    return 0 if last.may_start else 1


def _name(data: str) -> str:
    """What the output folder is called: the data set's folder."""
    path = Path(data)
    if not path.exists():
        return data.partition(":")[0]
    return (path if path.is_dir() else path.parent).resolve().name or "data"


def _write(out: Path, examined: object, name: str, drawn: Mapping[str, bytes]) -> None:
    from pixelwise.doctor.examine import Examination
    from pixelwise.doctor.page import report, summary
    from pixelwise.pictures.files import write_bytes
    from pixelwise.report import render

    assert isinstance(examined, Examination)
    content = {
        FILES[0]: render(report(examined, name)).encode(),
        FILES[1]: (json.dumps(summary(examined), indent=2) + "\n").encode(),
        **drawn,
    }
    with Outputs(out, "check-data") as outputs, outputs.writing(*content):
        for file, text in content.items():
            write_bytes(out / file, text)
