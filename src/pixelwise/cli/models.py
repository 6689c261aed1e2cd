"""`pixelwise models`: the networks, one line each, or one network's card."""

from collections.abc import Sequence

from pixelwise.cli.card import print_card, print_entry
from pixelwise.cli.card_table import cards
from pixelwise.cli.cards import CLASSES, PICTURE, Cards, NetworkCost
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.naming import meanings, resolve

TEXT = "List the networks; with a name, show what it computes, its paper, options and cost."


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
    known = cards()
    if not meanings(found.name, known.network_names):
        _refuse_other_kinds(found.name, known)
    key = resolve("model", found.name, known.network_names)
    card = known.networks[key]
    backbone = found.backbone or card.backbone
    cost = card.cost if backbone == card.backbone else None
    print_card(
        title=f"{key}: {card.title}, {translate(card.line)}",
        about=card.about,
        options=card.options,
        cost=_cost(backbone, cost or _measured(key, backbone)),
        usage=f'pixelwise.create_model("{key}", backbone="{backbone}", num_classes={CLASSES})',
    )
    return 0


def _refuse_other_kinds(name: str, known: Cards) -> None:
    """Raise where a name that no network has is that of a backbone, a layer or an upsampler."""
    for kind, names in (("a layer", known.layer_names), ("an upsampler", known.upsampler_names)):
        for key in meanings(name, names):
            if isinstance(key, str):
                raise InputError(f"model={name!r}: is {kind}; see pixelwise layers {key}")
    from pixelwise.networks.backbones.bodies import is_backbone

    if is_backbone(name):
        raise InputError(
            f"model={name!r}: is a backbone; see pixelwise models upernet --backbone {name}"
        )


def _measured(key: str, backbone: str) -> NetworkCost:
    from pixelwise.cli.measured import network_cost

    return network_cost(key, backbone)


def _cost(backbone: str, cost: NetworkCost) -> str:
    sizes = (
        translate("pictures of any size, as they are")
        if cost.multiple == 1
        else translate(
            "sides that are multiples of {multiple} as they are; others are padded"
            " by repeating the border, which changes numbers:"
            " backbone_options={{'padding': 'none'}} avoids it"
        ).format(multiple=cost.multiple)
    )
    return translate(
        "on {backbone}, 19 classes: {parameters:,} parameters, {count:.1f} GFLOP"
        " at {side}x{side}, attention counted\n"
        "    sizes: {sizes}"
    ).format(
        backbone=backbone,
        parameters=cost.parameters,
        count=cost.flops / 1e9,
        side=PICTURE,
        sizes=sizes,
    )
