"""`pixelwise insert`: what a layer would be in a network that exists, and the proof."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.checks import parse_size
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_run
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError, unknown

TEXT = (
    "Put layers into a network in memory, compare its output before and after, and report widths,"
    " parameters and FLOPs, e.g.: pixelwise insert resnet50 --at 'layer3.*.bn2=psa_s, layer4=isa',"
    " or, after stages, --at psa_s@3,4. Without --at, list the places where a layer can stand. To"
    " train with insertions: pixelwise train --insert; in Python: pixelwise.insert(host,"
    " {'layer4': 'psa_s'})."
)


def main(arguments: Sequence[str]) -> int:
    """Report; returns 0, or raises InputError where a layer cannot go there."""
    parser = command_parser("insert", TEXT)
    parser.add_argument("host", type=str, help="timm model, or folder of a run or model")
    parser.add_argument(
        "--at", type=str | None, help="what to insert, LAYER@PLACE; a place may be a pattern"
    )
    parser.add_argument(
        "--size", type=str | None, help="input size for the cost report, HEIGHTxWIDTH"
    )
    parser.add_argument(
        "--per-channel",
        action="store_true",
        help="learn a gain per channel instead of one per layer",
    )
    parser.add_argument("--pretrained", action="store_true", help="load timm's pretrained weights")
    parser.add_argument("--out", type=str | None, help="file to save the inserted layers to")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    size = None if found.size is None else parse_size(size=found.size)
    if found.at is None and found.out is not None:
        raise InputError(
            f"out={found.out!r}: needs insertions to save; name them with --at LAYER@PLACE"
        )
    if found.out is not None and not Path(found.out).absolute().parent.is_dir():
        raise InputError(f"out={found.out!r}: its folder is not there; make it, or choose another")
    if "/" in found.host or found.host in (".", "..", ""):
        check_run(found.host)
    with Console(quiet=found.quiet) as console:
        host = _host(found.host, pretrained=found.pretrained)
        console.say(
            f"host    {found.host}: {sum(p.numel() for p in host.parameters()):,} parameters"
        )
        from pixelwise.insertion.insert import cost_at, insert
        from pixelwise.insertion.listing import possible_places

        if found.at is None:
            print(possible_places(host))
            print(f'next: pixelwise insert {found.host} --at "LAYER@PLACE" (see: pixelwise layers)')
            return 0
        report = insert(host, found.at, per_channel=found.per_channel)
        if found.out is not None:
            report.save(found.out)
        print(report if size is None else cost_at(report, size))
    if found.out is not None:
        print(f'insertions: {found.out}\nin Python: pixelwise.insert(host, "{found.out}")')
    return 0


def _host(name: str, *, pretrained: bool) -> Any:
    if Path(name).is_dir():
        from pixelwise.networks.segmenter import load

        return load(name)
    import timm

    if not timm.is_model(name):
        raise unknown("host", name, timm.list_models(), "(a timm model or a folder)")
    try:
        return timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError) as error:
        told = str(error).splitlines()[0]
        raise InputError(
            f"{name}: timm could not make it ({type(error).__name__}: {told}); without a network"
            " connection leave out --pretrained"
        ) from error
