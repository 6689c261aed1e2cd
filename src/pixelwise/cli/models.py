"""`pixelwise models`: the networks, one line each, or one network's card."""

from collections.abc import Sequence

from pixelwise.cli.card import options_of, print_card, print_entry
from pixelwise.cli.parsing import command_parser, parse

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
    from pixelwise.networks.registry import available, decoder_named, names, resolve
    from pixelwise.networks.zoo import ZOO

    if found.name is None:
        for key in names():
            shown = ZOO.get(key) or available()[key]
            print_entry(key, title=shown.title, year=shown.year, line=shown.summary)
        print("\nany of them with --attention LAYER (see: pixelwise layers) and any timm backbone")
        print("next: pixelwise models danet")
        return 0
    key = resolve(found.name)
    entry = ZOO.get(key)
    decoder = decoder_named(entry.arch if entry else key)
    backbone = found.backbone or (entry or decoder).backbone
    print_card(
        title=f"{key}: {(entry or decoder).title}, {(entry or decoder).summary}",
        module=decoder.__module__,
        options=options_of(decoder),
        cost=_cost(key, backbone),
        usage=f'pixelwise.create_model("{key}", backbone="{backbone}", num_classes=19)',
    )
    return 0


def _cost(arch: str, backbone: str) -> str:
    import torch

    from pixelwise.cost import flops, parameters
    from pixelwise.networks.factory import create_model

    model = create_model(arch, backbone, num_classes=19).eval().to("meta")
    count = flops(model, torch.empty(1, 3, SIDE, SIDE, device="meta"))
    multiple = model.backbone.multiple
    sizes = (
        "pictures of any size, as they are"
        if multiple == 1
        else f"sides that are multiples of {multiple} as they are; others are padded by repeating"
        " the border, which changes numbers: backbone_options={'padding': 'none'} avoids it"
    )
    return (
        f"on {backbone}, 19 classes: {parameters(model):,} parameters,"
        f" {count / 1e9:.1f} GFLOP at {SIDE}x{SIDE}, attention counted\n"
        f"    sizes: {sizes}"
    )
