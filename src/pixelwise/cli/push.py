"""`pixelwise push`: a network and its card on the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.cli.console import Console
from pixelwise.cli.given import check_model, check_out, is_hub_name
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.outputs import Outputs

TEXT = """Write a folder with the network, a card (README.md) of its classes, data, recipe, scores
and cost, and pictures of its answers; then upload it as OWNER/NAME."""


def main(arguments: Sequence[str]) -> int:
    """Publish; returns the exit code."""
    parser = command_parser("push", TEXT)
    parser.add_argument("run", type=str, help="folder of a run or model")
    parser.add_argument("name", type=str, help="OWNER/NAME on the Hugging Face Hub")
    parser.add_argument(
        "--license",
        type=str | None,
        help="licence of the weights as the Hub names it, such as apache-2.0; default: not stated",
    )
    parser.add_argument("--private", action="store_true", help="only its owner can see it")
    parser.add_argument(
        "--no-samples", action="store_true", help="leave out pictures of the data set"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="write the folder and upload nothing"
    )
    parser.add_argument("--out", type=str | None, help="folder to write; default: RUN/hub")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if is_hub_name(found.run) and not Path(found.run).exists():
        raise InputError(f"{found.run}: no such folder; give the folder of a run or model")
    check_model(found.run)
    check_out(found.out)
    with Console(quiet=found.quiet) as console:
        from pixelwise.networks.publishing.folder import NAMES, write_folder
        from pixelwise.networks.publishing.hub import check_name, upload
        from pixelwise.networks.publishing.licences import check_licence
        from pixelwise.networks.segmenter import load

        check_name(found.name)
        check_licence(found.license)
        run = Path(found.run)
        folder = Path(found.out) if found.out else run / "hub"
        model = load(run)
        with Outputs(folder, "push") as outputs:
            outputs.check(NAMES)
            names = write_folder(
                *(model, model.described(), folder),
                name=found.name,
                run=run,
                licence=found.license,
                samples=not found.no_samples,
            )
            outputs.note(names)
        console.say(
            translate("folder  {folder}: {names}").format(folder=folder, names=", ".join(names))
        )
        if any(name.startswith("sample_") for name in names):
            console.say(
                translate("samples are pictures of your data; --no-samples leaves them out")
            )
        if found.license is None:
            console.say(translate("licence not stated in the card; --license says which"))
        if found.dry_run:
            print(translate("nothing was uploaded; this would be: {folder}").format(folder=folder))
            return 0
        address = upload(folder, found.name, private=found.private)
    print(
        translate(
            "published: {address}\nnext: pixelwise predict {name} PICTURES --out FOLDER"
        ).format(address=address, name=found.name)
    )
    return 0
