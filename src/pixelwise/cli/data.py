"""`pixelwise data import`: a published data set, as it was downloaded, gets its data.yaml."""

import os
from collections.abc import Sequence
from pathlib import Path

from pixelwise.cli.console import Console
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError, unknown
from pixelwise.language import translate

VERBS = {"import": "write the data.yaml of a published data set or of a label tool's masks"}
HELP = """usage: pixelwise data VERB [options]

{verbs}

  pixelwise data VERB --help   shows its options
"""
TEXT = (
    "Find out how a data set lies on disk and write its data.yaml: VOC, PASCAL-Context, ADE20K,"
    " COCO-Stuff, Cityscapes, CamVid, LoveDA, Inria, WHU, Massachusetts, ISIC, cracks, and the"
    " masks that CVAT and Roboflow export. Nothing else is written or changed."
)


def main(arguments: Sequence[str]) -> int:
    """Run a verb; returns the exit code."""
    if not arguments:
        raise InputError("verb='': must be given; write pixelwise data import DIR")
    if arguments[0] in ("-h", "--help", "help"):
        listed = "\n".join(f"  {name:8} {translate(line)}" for name, line in VERBS.items())
        print(translate(HELP).format(verbs=listed))
        raise SystemExit(0)
    if arguments[0] not in VERBS:
        raise unknown("verb", arguments[0], VERBS, "of data")
    return _import(arguments[1:])


def _import(arguments: Sequence[str]) -> int:
    parser = command_parser("data import", TEXT)
    parser.add_argument(
        "layout", nargs="?", type=str | None, help="such as voc; left out: the one that fits"
    )
    parser.add_argument("folder", type=str, help="folder of the data set")
    parser.add_argument(
        "--out", type=str | None, help="file to write; default: data.yaml in the folder"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if not found.folder.strip() or "\0" in found.folder:
        raise InputError(f"folder={found.folder!r}: must be a folder; give that of the data set")
    folder = Path(found.folder)
    out = _out(folder, found.out)
    with Console(quiet=found.quiet) as console:
        from pixelwise import yaml_files
        from pixelwise.data.published.finding import PUBLISHED, find, key_of

        if found.layout is None and not folder.is_dir() and found.folder in PUBLISHED:
            raise InputError(
                f"{folder}: is a layout; give the folder too, pixelwise data import {folder} DIR"
            )
        if found.layout is not None:
            key_of(found.layout)
        if out.exists() and not found.force:
            raise InputError(f"{out}: is there already; choose another --out, or add --force")
        imported = find(folder, found.layout, out)
        console.say(
            translate("found   {key}: {title}").format(
                key=imported.key, title=PUBLISHED[imported.key].title
            )
        )
        console.say(f"in      {imported.root}")
        console.say(translate("classes {join}").format(join=", ".join(imported.content["names"])))
        head = f"# {PUBLISHED[imported.key].title}; written by `pixelwise data import`\n"
        _write(out, head + yaml_files.to_text(imported.content))
    counts = ", ".join(f"{split} {count}" for split, count in imported.counts.items())
    print(translate("{out}: {counts} images").format(out=out, counts=counts))
    print(translate("next: pixelwise train --data {out}").format(out=out))
    return 0


def _out(folder: Path, told: str | None) -> Path:
    out = folder / "data.yaml" if told is None else Path(told)
    if out.is_dir():
        out /= "data.yaml"
    if out.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(f"out={told!r}: must be a .yaml file or a folder; e.g. data.yaml")
    if told is not None and not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder; make it, or choose another --out")
    return out


def _write(out: Path, text: str) -> None:
    """All of it or nothing."""
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(out)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"{out}: cannot be written ({error.strerror}); choose another --out"
        ) from error
