"""`pixelwise layers`: the attention layers, one line each, or one layer's card."""

import inspect
from collections.abc import Sequence

from pixelwise.cli.card import options_of, print_card, print_entry
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.naming import Meaning

TEXT = (
    "List the attention layers; with a name, show its formula, paper, options and cost, or all that"
    " the name is used for, e.g.: pixelwise layers PSA."
)
CHANNELS, SIDE = 256, 64


def main(arguments: Sequence[str]) -> int:
    """List, or show one; returns the exit code."""
    parser = command_parser("layers", TEXT)
    parser.add_argument("name", nargs="?", type=str | None, help="layer to show, e.g. psa_s")
    found = parse(parser, arguments)
    from pixelwise.layers.base import FusionLayer
    from pixelwise.layers.registry import all_names, available, resolve
    from pixelwise.naming import meanings, taken_for

    layers = available()
    if found.name is None:
        for key, layer in layers.items():
            line = (inspect.getdoc(layer) or "").splitlines()[0]
            print_entry(key, title=layer.title, year=layer.year, line=line)
        print("\nnext: pixelwise layers psa_s")
        return 0
    if len(several := meanings(found.name, all_names())) > 1:
        print(f"{found.name} is used for {len(several)} mechanisms\n")
        _print_meanings(several)
        return 0
    key = resolve(found.name)
    layer = layers[key]
    print_card(
        title=f"{key}: {layer.title}, {layer.__name__}(channels, ...)",
        module=layer.__module__,
        options=options_of(layer),
        cost=_cost(key),
        usage=f'pixelwise.create_layer("{key}", 256)'
        + ("(features, guide)" if issubclass(layer, FusionLayer) else "(features)"),
    )
    if others := taken_for(key, all_names()):
        print(f"\nOthers mean by {key!r}")
        _print_meanings(others)
    return 0


def _print_meanings(several: Sequence[Meaning]) -> None:
    from pixelwise.layers.registry import available

    for one in several:
        if isinstance(one, str):
            layer = available()[one]
            line = (inspect.getdoc(layer) or "").splitlines()[0]
            print_entry(one, title=layer.title, year=layer.year, line=line)
        else:
            line = (
                f"{one.line[:1].upper()}{one.line[1:]}. {one.paper}. Nearest: {', '.join(one.near)}"
            )
            print_entry("(not here)", title=one.title, year=one.year, line=line)


def _cost(key: str) -> str:
    import torch

    from pixelwise.cost import flops, parameters, predict
    from pixelwise.layers.base import FusionLayer
    from pixelwise.layers.registry import create

    with torch.device("meta"):
        layer = create(key, CHANNELS).eval()
        x = torch.empty(1, CHANNELS, SIDE, SIDE)
        inputs = (x, x) if isinstance(layer, FusionLayer) else (x,)
        count = flops(layer, *inputs)
    shapes = [(max(1, layer.limits.images), *x.shape[1:])] * len(inputs)
    memory = [predict(layer, *shapes, training=mode, device="cpu") for mode in (False, True)]
    power = layer.cost_exponent
    growth = "the number of pixels" if power == 1 else f"(number of pixels) ** {power:g}"
    return (
        f"{CHANNELS} channels at {SIDE}x{SIDE} pixels: {parameters(layer):,} parameters,"
        f" {count / 1e6:.1f} MFLOP; grows with {growth}\n"
        f"    memory on a CPU, float32, {shapes[0][0]} image(s): {memory[0] / 1e6:.0f} MB beyond"
        f" the input, training {memory[1] / 1e6:.0f} MB"
    )
