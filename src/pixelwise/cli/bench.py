"""`pixelwise bench`: time and memory of layers and networks, beside other forms of them."""

import functools
from collections.abc import Sequence
from pathlib import Path

from pixelwise.benchmarks.settings import BenchSettings
from pixelwise.cli.console import Console
from pixelwise.cli.parsing import add_settings, command_parser, parse, take
from pixelwise.language import translate
from pixelwise.outputs import refuse_used
from pixelwise.settings import numbered_folder

TEXT = (
    "Measure time and memory of layers and networks on this machine, beside the equations written"
    " plainly and other packages, e.g.: pixelwise bench psa_p nonlocal:mode=gaussian --against"
    " plain,timm.  Rows are written to a file as they are measured; Ctrl-C keeps them."
)
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table and write the folder; returns the exit code."""
    parser = command_parser("bench", TEXT)
    parser.add_argument(
        "names",
        nargs="*",
        default=[],
        type=str,
        help="layers and networks, with options after a colon (network/psanet where a layer has the"
        " name too); 'layers' and 'networks' are all of them (default: layers)",
    )
    add_settings(parser, BenchSettings, yaml=False)
    parser.add_argument("--out", type=str | None, help="output folder; default: runs/bench/NUMBER")
    parser.add_argument("--quiet", action="store_true", help="print the table only")
    found = parse(parser, arguments)
    settings = take(found, BenchSettings)
    if found.out is not None:
        refuse_used(Path(found.out), "choose another --out")
    with Console(quiet=found.quiet) as console:
        return _bench(found.names or [], settings, found.out, console)


def _bench(names: Sequence[str], settings: BenchSettings, out: str | None, console: Console) -> int:
    from pixelwise.benchmarks.cases import cases, notes
    from pixelwise.benchmarks.processes import begin

    wanted = cases(names)
    begin(networks=any(case.is_network for case in wanted))
    from pixelwise.benchmarks.growth import grow
    from pixelwise.benchmarks.results import write_comparison, write_growing
    from pixelwise.benchmarks.run import check, compare, start
    from pixelwise.benchmarks.table import means, text_table
    from pixelwise.ops.running import taken

    check(wanted, settings)
    taken.forget()
    bench = start(settings, functools.partial(_folder, out), console)
    folder = bench.file.path.parent
    fitted: list[dict[str, object]] = []
    code = 0
    try:
        if settings.growth:
            grow(bench, wanted, fitted)
        else:
            compare(bench, wanted)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if settings.growth:
        write_growing(bench, folder, fitted)
    else:
        write_comparison(bench, folder, notes(wanted))
    console.print(text_table(bench.rows))
    for line in means(bench.rows):
        console.print(line)
    for line in notes(wanted):
        console.print(line)
    console.print(taken.line())
    if code:
        console.warn(
            translate("interrupted; what was measured before is kept: {folder}").format(
                folder=folder
            )
        )
    else:
        console.print(translate("rows, table and pictures: {folder}").format(folder=folder))
    return code


def _folder(out: str | None) -> Path:
    if out is None:
        return numbered_folder(Path("runs") / "bench")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
