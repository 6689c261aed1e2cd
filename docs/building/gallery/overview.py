"""The overview of the gallery: all layers and networks, a line each, with small figures."""

import inspect
from typing import Any

import torch

from building.gallery.costs import CHANNELS, SIDES, counted
from building.gallery.drawing import miniature
from building.gallery.equations import escaped
from building.gallery.layers_run import layer_flow
from building.gallery.network_run import SIDE, network_flow
from building.gallery.texts import measured
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, FusionLayer, Layer
from pixelwise.layers.registry import available, create
from pixelwise.networks.registry import decoder_named, names
from pixelwise.networks.zoo import ZOO

PLACE = SIDES.index(64)


def overview() -> str:
    """The page as Markdown."""
    return "\n".join(
        [
            "---\nhide-toc: true\n---",
            "",
            "# Gallery",
            "",
            "Every layer and every network has a page: its equation, a figure of what it does, the"
            " same in code, what it costs, how far it reaches, and whose checkpoints load.",
            "",
            "## Layers",
            "",
            f"Operations are for {CHANNELS} channels and 64×64 pixels; n is the number of pixels."
            " The field is that of one pixel, before training.",
            "",
            *_table(
                ["figure", "layer", "what it does", "weighs", "GFLOP", "grows with", "field"],
                [_layer_row(cls) for cls in available().values()],
            ),
            "",
            '```{raw} html\n<script src="../_static/gallery.js"></script>\n```',
            "",
            "## Networks",
            "",
            f"Parameters and operations are for 19 classes, {SIDE}×{SIDE} pixels and the backbone"
            " that stands beside.",
            "",
            *_table(
                ["network", "what it is", "layers", "backbone", "parameters", "GFLOP"],
                [_network_row(key) for key in names()],
            ),
            "",
            "```{toctree}\n:hidden:\n:caption: Layers\n:glob:\n\nlayers/*\n```",
            "",
            "```{toctree}\n:hidden:\n:caption: Networks\n:glob:\n\nnetworks/*\n```",
            "",
        ]
    )


def weighs(cls: type[Layer]) -> str:
    """What a layer gives weights to, as its maps tell."""
    layer: Any = create(cls, 64).eval()
    guided = isinstance(layer, FusionLayer)
    if not guided and not isinstance(layer, AttentionLayer):
        return "nothing"
    size = (1, 64, 16, 16)
    inputs = [torch.randn(size)]
    if guided:
        inputs.append(torch.randn(cls.benchmark_guide({}, size)))  # type: ignore[attr-defined]
    with torch.no_grad():
        try:
            maps = layer.maps(*inputs)
            own = False
        except InputError:
            maps = layer.maps(*inputs, at=(0, 0))
            own = True
    found = []
    if maps.channel is not None:
        found.append("pairs of channels" if maps.channel.ndim == 3 else "channels")
    if maps.spatial is not None:
        found.append("pairs of pixels" if own else "pixels")
    return " and ".join(found) + (", by a guide" if guided else "")


def growth(exponent: float) -> str:
    """What operations grow with."""
    return "{math}`n`" if exponent == 1 else f"{{math}}`n^{{{exponent:g}}}`"


def _layer_row(cls: type[Layer]) -> list[str]:
    layer = create(cls, 64)
    line = (inspect.getdoc(cls) or "").splitlines()[0]
    fields = [row for row in measured("receptive_fields") if row["layer"] == cls.key]
    return [
        f"```{{raw}} html\n{miniature(layer_flow(cls).flow)}\n```",
        f"[`{cls.key}`](layers/{cls.key}.md) {escaped(cls.title)}",
        escaped(line),
        weighs(cls),
        f"{counted(cls).operations[PLACE] / 1e9:.3g}",
        growth(layer.cost_exponent),
        escaped(fields[0]["shape"]) if fields else "",
    ]


def _network_row(key: str) -> list[str]:
    entry: Any = ZOO.get(key) or decoder_named(key)
    drawn = network_flow(key, entry.backbone)
    return [
        f"[`{key}`](networks/{key}.md) {escaped(entry.title)}",
        escaped(entry.summary),
        ", ".join(f"[`{layer}`](layers/{layer}.md)" for layer in drawn.layers),
        f"`{entry.backbone}`",
        f"{drawn.parameters / 1e6:.1f} M",
        f"{drawn.operations / 1e9:.0f}",
    ]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["````{list-table}", ":header-rows: 1", ":class: overview", ""]
    for row in [header, *rows]:
        for number, cell in enumerate(row):
            first = "* - " if number == 0 else "  - "
            lines.append((first + cell.replace("\n", "\n    ")).rstrip())
    return [*lines, "````"]
