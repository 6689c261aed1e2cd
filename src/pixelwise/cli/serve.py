"""`pixelwise serve`: a page to click, answered by a small server."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from pixelwise.checks import in_range
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_model, check_pictures, refuse_given
from pixelwise.cli.parsing import AS_IS, CommandParser, command_parser, parse
from pixelwise.cli.serve_file import write_file
from pixelwise.devices import DEVICES, check_device, pick_device
from pixelwise.errors import InputError
from pixelwise.language import translate

TEXT = (
    "Show a page in the browser: click a pixel and see its class probabilities and where every"
    " attention layer looks from there; edit masks and save them as training data."
)
MEGAPIXELS = 4.2


def main(arguments: Sequence[str]) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    parser = command_parser("serve", TEXT)
    parser.add_argument(
        "run",
        type=str,
        help="folder of a run or model, exported file, or OWNER/NAME on the Hugging Face Hub",
    )
    parser.add_argument(
        "pictures", nargs="*", help="pictures to list: files, folders or quoted patterns"
    )
    parser.add_argument(
        "--beside", type=str | None, help="second run of the same classes, to compare with"
    )
    parser.add_argument(
        "--save-to",
        type=str | None,
        help="folder of a data set that edited masks are added to; made if need be",
    )
    parser.add_argument(
        "--host",
        type=str,
        default="127.0.0.1",
        help="address to listen on; others than 127.0.0.1 need the token that is printed",
    )
    parser.add_argument("--port", type=int | None, help="port; default: the first free from 8765")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=MEGAPIXELS,
        help="take larger pictures too; they go through the network whole",
    )
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    parser.add_argument(
        "--out", type=str | None, help="write one .html file that needs no server, and end"
    )
    parser.add_argument(
        "--half", action="store_true", help="for --out: weights in float16, in half the bytes"
    )
    parser.add_argument("--quiet", action="store_true", help="print the address only")
    found = parse(parser, _together(parser, arguments))
    if found.out is not None:
        return write_file(found)
    refuse_given(found, {"half": False}, "is for --out; leave it out")
    check_device(found.device)
    in_range(0.001, 400, max_megapixels=found.max_megapixels)
    if found.port is not None:
        in_range(0, 65535, port=found.port)
    if not found.host.strip():
        raise InputError(f"host={found.host!r}: must be an address; e.g. 127.0.0.1")
    check_pictures(found.pictures)
    runs = [found.run] + ([] if found.beside is None else [found.beside])
    for run in runs:
        check_model(run, exported=True)
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"{package}: is not installed, and the page needs it; pip install 'pixelwise[web]'"
            )
    with Console(quiet=found.quiet) as console:
        from pixelwise.export.opening import open_model
        from pixelwise.predict.images import find_pictures
        from pixelwise.serve.described import shown_names
        from pixelwise.serve.running import Server
        from pixelwise.serve.saving import collection_for
        from pixelwise.serve.served import Limits, Served

        device = pick_device(found.device)
        files = find_pictures(found.pictures) if found.pictures else []
        models = [(run, open_model(run).to(device)) for run in runs]
        for run, model in models:
            console.say(
                translate("model   {arch} on {backbone}, {run}, on {device}").format(
                    arch=model.config.arch, backbone=model.config.backbone, run=run, device=device
                )
            )
        if files:
            console.say(translate("list    {files} pictures").format(files=len(files)))
        saving = None
        if found.save_to is not None:
            saving = collection_for(models[0][1], Path(found.save_to))
            console.say(translate("masks   are saved to {save_to}").format(save_to=found.save_to))
        limits = Limits(megapixels=found.max_megapixels, as_is=found.as_is)
        shown = [(name, model) for name, (_, model) in zip(shown_names(runs), models, strict=True)]
        served = Served(shown, files, saving=saving, limits=limits)
        try:
            server = Server(served, found.host, found.port)
        except InputError:
            served.close()
            raise
        console.print(translate("open    {address}").format(address=server.address))
        console.say(translate("Ctrl-C ends it"))
    if found.open:
        import webbrowser

        webbrowser.open(server.address)
    server.run()
    return 0


def _together(parser: CommandParser, arguments: Sequence[str]) -> list[str]:
    """The words with all pictures at the end: where there may be none, argparse takes no later."""
    alone = {
        name for action in parser._actions if action.nargs == 0 for name in action.option_strings
    }
    words, options, others = list(arguments), list[str](), list[str]()
    while words:
        word = words.pop(0)
        if word == "--":
            others += words
            break
        if not word.startswith("-") or word == "-":
            others.append(word)
            continue
        options.append(word)
        if "=" not in word and word not in alone and words:
            options.append(words.pop(0))
    return [*options, "--", *others]
