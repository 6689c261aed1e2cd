"""`pixelwise import`: another code's checkpoint becomes a network here."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.checks import in_range
from pixelwise.cli.console import Console
from pixelwise.cli.given import MODEL, check_out
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.outputs import Outputs

TEXT = (
    "Recognise a checkpoint of the authors' repositories or of mmsegmentation by its keys, load"
    " every tensor, and write model.safetensors and config.json. No code in the file is run."
)


def main(arguments: Sequence[str]) -> int:
    """Import; returns 0, or raises InputError where the file is refused."""
    parser = command_parser("import", TEXT)
    parser.add_argument("file", type=str, help="a .pth, .pt, .pth.tar or .safetensors file")
    parser.add_argument("--out", type=str, required=True, help="output folder")
    parser.add_argument(
        "--backbone-only",
        type=int | None,
        metavar="CLASSES",
        help="import the backbone alone, with an untrained decoder (fcn) for so many classes",
    )
    parser.add_argument(
        "--allow-nan", action="store_true", help="take weights that are NaN or infinite too"
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if found.backbone_only is not None:
        in_range(1, 100_000, backbone_only=found.backbone_only)
    if not Path(found.file).is_file():
        raise InputError(f"{found.file}: no such file; check the path")
    check_out(found.out)
    with Console(quiet=found.quiet) as console:
        from pixelwise.interop.convert import import_checkpoint

        imported = import_checkpoint(
            found.file, classes=found.backbone_only, allow_nan=found.allow_nan
        )
        foreign, config = imported.foreign, imported.model.config
        size = imported.size / 2**20
        classes = ", ".join(config.names) or f"{config.num_classes} classes"
        console.say(f"file    {found.file}, {size:.1f} MiB")
        console.say(f"found   {foreign.code}: {foreign.network}")
        console.say(f"classes {classes}")
        for line in foreign.differences:
            console.say(f"note    {line}")
        with Outputs(Path(found.out), "import") as outputs, outputs.writing(*MODEL):
            imported.model.save_pretrained(found.out)
    new = "" if not foreign.fresh else "; the decoder is new and has to be trained"
    left = f", {len(foreign.left_out)} left out" if foreign.left_out else ""
    print(f"{imported.tensors} tensors mapped{left}{new}: {found.out}")
    step = "train --help" if foreign.fresh else f"predict {found.out} PICTURES"
    print(f"next: pixelwise {step}")
    return 0
