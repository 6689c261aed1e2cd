"""`pixelwise layers`: the layers and upsamplers, one line each, or the card of one."""

from collections.abc import Mapping, Sequence

from pixelwise.cli.card import print_card, print_entry
from pixelwise.cli.card_table import cards
from pixelwise.cli.cards import CHANNELS, SIDE, Card, Cost
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.naming import Meaning, meanings, resolve, taken_for

TEXT = (
    "List the attention layers, and the upsamplers; with a name, show its formula, paper, options"
    " and cost, or all that the name is used for, e.g.: pixelwise layers PSA."
)


def main(arguments: Sequence[str]) -> int:
    """List, or show one; returns the exit code."""
    parser = command_parser("layers", TEXT)
    parser.add_argument("name", nargs="?", type=str | None, help="layer to show, e.g. psa_s")
    found = parse(parser, arguments)
    known = cards()
    if found.name is None:
        _print_entries(known.layers)
        print(translate("\nUpsamplers, which join a coarse map with a fine one"))
        _print_entries(known.upsamplers)
        print(translate("\nnext: pixelwise layers psa_s"))
        return 0
    names, others = known.layer_names, known.upsampler_names
    if len(several := meanings(found.name, names)) > 1:
        print(
            translate("{name} is used for {several} mechanisms\n").format(
                name=found.name, several=len(several)
            )
        )
        _print_meanings(several, known.layers)
        return 0
    if not several and meanings(found.name, others):
        key = resolve("upsampler", found.name, others)
        _print_upsampler(key, known.upsamplers[key])
        return 0
    if not several:
        _refuse(found.name)
    key = resolve("layer", found.name, names)
    card = known.layers[key]
    print_card(
        title=f"{key}: {card.title}, {card.class_name}(channels, ...)",
        about=card.about,
        options=card.options,
        cost=_cost(card.cost or _measured(key)),
        usage=f'pixelwise.create_layer("{key}", 256)'
        + ("(features, guide)" if card.inputs > 1 else "(features)"),
    )
    if taken := taken_for(key, names):
        print(translate("\nOthers mean by {key!r}").format(key=key))
        _print_meanings(taken, known.layers)
    return 0


def _refuse(name: str) -> None:
    """Say what else has a name that no layer has, or what it is nearest to."""
    from pixelwise.layers.registry import resolve
    from pixelwise.networks.registry import all_names

    for key in meanings(name, all_names()):
        if isinstance(key, str):
            raise InputError(f"layer={name!r}: is a network; see pixelwise models {key}")
    resolve(name)


def _print_entries(known: Mapping[str, Card]) -> None:
    for key, card in known.items():
        print_entry(key, title=card.title, year=card.year, line=translate(card.line))


def _print_upsampler(key: str, card: Card) -> None:
    cost = card.cost
    if cost is None:
        from pixelwise.cli.measured import upsampler_cost

        cost = upsampler_cost(key)
    print_card(
        title=f"{key}: {card.title}, {card.class_name}(channels, guide_channels=None, ...)",
        about=card.about,
        options=card.options,
        cost=translate(
            "{channels} channels from {side}x{side} to twice as many pixels a side:"
            " {parameters:,} parameters, {count:.1f} MFLOP in convolutions; grows with the number"
            " of pixels"
        ).format(channels=CHANNELS, side=SIDE, parameters=cost.parameters, count=cost.flops / 1e6),
        usage=f'pixelwise.create_upsampler("{key}", 256)(coarse, fine), or'
        f' pixelwise.create_model("fpn", num_classes=19, upsampler="{key}")',
    )


def _print_meanings(several: Sequence[Meaning], known: Mapping[str, Card]) -> None:
    for one in several:
        if isinstance(one, str):
            card = known[one]
            print_entry(one, title=card.title, year=card.year, line=translate(card.line))
        else:
            line = translate("{upper}{each}. {paper}. Nearest: {near}").format(
                upper=one.line[:1].upper(),
                each=one.line[1:],
                paper=one.paper,
                near=", ".join(one.near),
            )
            print_entry(translate("(not here)"), title=one.title, year=one.year, line=line)


def _measured(key: str) -> Cost:
    from pixelwise.cli.measured import layer_cost

    return layer_cost(key)


def _cost(cost: Cost) -> str:
    growth = (
        translate("the number of pixels")
        if cost.power == 1
        else translate("(number of pixels) ** {power:g}").format(power=cost.power)
    )
    alone, training = cost.memory
    return translate(
        "{channels} channels at {side}x{side} pixels: {parameters:,} parameters,"
        " {count:.1f} MFLOP; grows with {growth}\n"
        "    memory on a CPU, float32, {shapes} image(s): {memory:.0f} MB beyond"
        " the input, training {memory2:.0f} MB"
    ).format(
        channels=CHANNELS,
        side=SIDE,
        parameters=cost.parameters,
        count=cost.flops / 1e6,
        growth=growth,
        shapes=cost.images,
        memory=alone / 1e6,
        memory2=training / 1e6,
    )
