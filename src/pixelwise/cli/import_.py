"""`pixelwise import`: another code's checkpoint becomes a network here."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.checks import in_range
from pixelwise.cli.console import Console
from pixelwise.cli.given import MODEL, check_out
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.language import translate
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
    if Path(found.file).is_dir():
        raise InputError(f"{found.file}: is a folder; give the checkpoint file in it")
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
        classes = ", ".join(config.names) or translate("{num_classes} classes").format(
            num_classes=config.num_classes
        )
        console.say(translate("file    {file}, {size:.1f} MiB").format(file=found.file, size=size))
        console.say(
            translate("found   {code}: {network}").format(
                code=foreign.code, network=foreign.network
            )
        )
        console.say(translate("classes {classes}").format(classes=classes))
        for line in foreign.differences:
            console.say(translate("note    {line}").format(line=line))
        with Outputs(Path(found.out), "import") as outputs, outputs.writing(*MODEL):
            imported.model.save_pretrained(found.out)
    new = "" if not foreign.fresh else translate("; the decoder is new and has to be trained")
    left = (
        translate(", {left_out} left out").format(left_out=len(foreign.left_out))
        if foreign.left_out
        else ""
    )
    print(
        translate("{tensors} tensors mapped{left}{new}: {out}").format(
            tensors=imported.tensors, left=left, new=new, out=found.out
        )
    )
    step = "train --help" if foreign.fresh else f"predict {found.out} PICTURES"
    print(translate("next: pixelwise {step}").format(step=step))
    return 0
