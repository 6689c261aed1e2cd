"""`pixelwise models`: the networks, one line each, or one network's card."""

import inspect
from collections.abc import Sequence

from pixelwise.cli.card import options_of, print_card, print_entry
from pixelwise.cli.card_table import cards
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.language import translate

TEXT = "List the networks; with a name, show what it computes, its paper, options and cost."
SIDE = 512


def main(arguments: Sequence[str]) -> int:
    """List, or show one; returns the exit code."""
    parser = command_parser("models", TEXT)
    parser.add_argument("name", nargs="?", type=str | None, help="network to show, e.g. danet")
    parser.add_argument(
        "--backbone", type=str | None, help="backbone for the cost; default: the network's own"
    )
    found = parse(parser, arguments)
    if found.name is None:
        for key, shown in cards().networks.items():
            print_entry(key, title=shown.title, year=shown.year, line=translate(shown.line))
        print(
            translate(
                "\nany of them with --attention LAYER (see: pixelwise layers) and any timm backbone"
            )
        )
        print(translate("next: pixelwise models danet"))
        return 0
    from pixelwise.networks.registry import decoder_named, resolve
    from pixelwise.networks.zoo import ZOO

    _refuse_other_kinds(found.name)
    key = resolve(found.name)
    entry = ZOO.get(key)
    decoder = decoder_named(entry.arch if entry else key)
    backbone = found.backbone or (entry or decoder).backbone
    print_card(
        title=f"{key}: {(entry or decoder).title}, {translate((entry or decoder).summary)}",
        about=inspect.getdoc(inspect.getmodule(decoder)) or "",
        options=options_of(decoder),
        cost=_cost(key, backbone),
        usage=f'pixelwise.create_model("{key}", backbone="{backbone}", num_classes=19)',
    )
    return 0


def _refuse_other_kinds(name: str) -> None:
    """Raise where a name that no network has is that of a backbone, a layer or an upsampler."""
    from pixelwise.errors import InputError
    from pixelwise.layers.registry import all_names as layers
    from pixelwise.layers.upsampling.registry import all_names as upsamplers
    from pixelwise.naming import meanings
    from pixelwise.networks.backbones.bodies import is_backbone
    from pixelwise.networks.registry import all_names as networks

    if meanings(name, networks()):
        return
    if is_backbone(name):
        raise InputError(
            f"model={name!r}: is a backbone; see pixelwise models upernet --backbone {name}"
        )
    for kind, known in (("a layer", layers()), ("an upsampler", upsamplers())):
        for key in meanings(name, known):
            if isinstance(key, str):
                raise InputError(f"model={name!r}: is {kind}; see pixelwise layers {key}")


def _cost(arch: str, backbone: str) -> str:
    import torch

    from pixelwise.cost import flops, parameters
    from pixelwise.networks.factory import create_model

    model = create_model(arch, backbone, num_classes=19).eval().to("meta")
    count = flops(model, torch.empty(1, 3, SIDE, SIDE, device="meta"))
    multiple = model.backbone.multiple
    sizes = (
        translate("pictures of any size, as they are")
        if multiple == 1
        else translate(
            "sides that are multiples of {multiple} as they are; others are padded"
            " by repeating the border, which changes numbers:"
            " backbone_options={{'padding': 'none'}} avoids it"
        ).format(multiple=multiple)
    )
    return translate(
        "on {backbone}, 19 classes: {parameters:,} parameters, {count:.1f} GFLOP"
        " at {side}x{side}, attention counted\n"
        "    sizes: {sizes}"
    ).format(
        backbone=backbone, parameters=parameters(model), count=count / 1e9, side=SIDE, sizes=sizes
    )
