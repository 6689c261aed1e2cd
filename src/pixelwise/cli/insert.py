"""`pixelwise insert`: what a layer would be in a network that exists, and the proof."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from pixelwise.checks import parse_size
from pixelwise.cli.console import Console
from pixelwise.cli.hosts import GivenHost, check_host, host_of, one_host
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.language import translate

if TYPE_CHECKING:
    from pixelwise.insertion.examples import Example

TEXT = (
    "Put layers into a network in memory, compare its output before and after, and report widths,"
    " parameters and FLOPs, e.g.: pixelwise insert resnet50 --at 'layer3.*.bn2=psa_s, layer4=isa',"
    " or, after stages, --at psa_s@3,4. Without --at, list the places where a layer can stand;"
    " --suggest says what layers would cost after each stage, and how far features look there. A"
    " network of your own: --host my/net.py:build or 'my/net.py:build(num_classes=3)'; the file is"
    " run, and the function or class that you name is called. To train with insertions: pixelwise"
    " train --insert; in Python: pixelwise.insert(host, {'layer4': 'psa_s'})."
)


def main(arguments: Sequence[str]) -> int:
    """Report; returns 0, or raises InputError where a layer cannot go there."""
    parser = command_parser("insert", TEXT)
    parser.add_argument(
        "host_name",
        metavar="host",
        nargs="?",
        type=str | None,
        help="timm model, folder of a run or model, or FILE.py:NAME",
    )
    parser.add_argument(
        "--host",
        type=str | None,
        help="the same; of a file of your own, which is run: FILE.py:NAME or"
        " FILE.py:NAME(OPTION=VALUE)",
    )
    parser.add_argument(
        "--checkpoint",
        type=str | None,
        help="file of weights for the network, of PyTorch or safetensors; nothing pickled is run",
    )
    parser.add_argument(
        "--at", type=str | None, help="what to insert, LAYER@PLACE; a place may be a pattern"
    )
    parser.add_argument(
        "--suggest",
        nargs="*",
        type=str,
        metavar="LAYER",
        help="what these layers would cost after each stage, without order or promise: se,gc,psa_s"
        " or all; a choice of eight if none is named",
    )
    parser.add_argument("--size", type=str | None, help="size of the pictures, HEIGHTxWIDTH")
    parser.add_argument(
        "--per-channel",
        action="store_true",
        help="learn a gain per channel instead of one per layer",
    )
    parser.add_argument("--pretrained", action="store_true", help="load timm's pretrained weights")
    parser.add_argument(
        "--out",
        type=str | None,
        help="file to save the inserted layers to; with --suggest, a .csv of its rows",
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    name = one_host(found.host_name, found.host)
    size = None if found.size is None else parse_size(size=found.size)
    if found.suggest is not None:
        _check_suggest(found)
    elif found.at is None and found.out is not None:
        raise InputError(
            f"out={found.out!r}: needs insertions to save; name them with --at LAYER@PLACE"
        )
    if found.out is not None and not Path(found.out).absolute().parent.is_dir():
        raise InputError(f"out={found.out!r}: its folder is not there; make it, or choose another")
    check_host(name, found.checkpoint, pretrained=found.pretrained)
    with Console(quiet=found.quiet) as console:
        host = host_of(name, pretrained=found.pretrained, checkpoint=found.checkpoint, size=size)
        count = sum(p.numel() for p in host.module.parameters())
        console.say(
            translate("host    {name}: {count:,} parameters").format(name=name, count=count)
        )
        for note in host.notes:
            console.say(note)
        if found.suggest is not None:
            _suggest(host, found, size)
        elif found.at is None:
            _list(host, name, size)
        else:
            _insert(host, found, size)
    return 0


def _check_suggest(found: Namespace) -> None:
    if found.at is not None:
        raise InputError(f"at={found.at!r}: --suggest tries every stage; leave one of them out")
    if found.per_channel:
        raise InputError("per_channel=True: is for --at; leave it out with --suggest")
    if found.out is not None and Path(found.out).suffix != ".csv":
        raise InputError(
            f"out={found.out!r}: --suggest writes a table; give a file that ends in .csv"
        )


def _suggest(host: GivenHost, found: Namespace, size: tuple[int, int] | None) -> None:
    from pixelwise.insertion.suggesting import CANDIDATES, suggest
    from pixelwise.pictures.files import write_bytes

    suggestions = suggest(host.module, found.suggest or CANDIDATES, size=size)
    print(suggestions)
    print(translate("weights: {weights}").format(weights=host.weights))
    if found.out is not None:
        write_bytes(Path(found.out), suggestions.csv().encode())
        print(translate("rows: {out}").format(out=found.out))
    print(translate('in Python: pixelwise.insert({call}, "LAYER@PLACE")').format(call=host.call))


def _list(host: GivenHost, name: str, size: tuple[int, int] | None) -> None:
    from pixelwise.insertion.examples import picture_of
    from pixelwise.insertion.listing import possible_places

    example = _example(host, size)
    height, width = picture_of(example).shape[-2:]
    print(possible_places(host.module, example=example))
    print(
        translate("maps are for a picture of {height}x{width}").format(height=height, width=width)
    )
    print(
        translate(
            'next: pixelwise insert {quote} --at "LAYER@PLACE" (see: pixelwise layers)'
        ).format(quote=shlex.quote(name))
    )
    print(translate("in Python: pixelwise.insert({call}, {{PLACE: LAYER}})").format(call=host.call))


def _insert(host: GivenHost, found: Namespace, size: tuple[int, int] | None) -> None:
    from pixelwise.insertion.insert import cost_at, insert

    report = insert(
        host.module, found.at, example=_example(host, size), per_channel=found.per_channel
    )
    if found.out is not None:
        report.save(found.out)
    print(report if size is None else cost_at(report, size))
    if found.out is not None:
        print(translate("insertions: {out}").format(out=found.out))
    print(
        translate('in Python: pixelwise.insert({call}, "{what}")').format(
            call=host.call, what=found.out or found.at
        )
    )


def _example(host: GivenHost, size: tuple[int, int] | None) -> "Example":
    """A small picture that the network takes, or one of the given size."""
    from pixelwise.insertion.examples import example_for

    try:
        return example_for(host.module, None)
    except InputError:
        if size is None:
            raise
        return example_for(host.module, size)
