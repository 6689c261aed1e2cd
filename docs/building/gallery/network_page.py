"""The page of a network: diagram, paper, options, cost, tasks, layers inside."""

import sys
from typing import Any

from building.gallery.drawing import drawing
from building.gallery.equations import about, escaped
from building.gallery.network_run import CLASSES, SIDE, NetworkDrawn, network_flow
from building.gallery.parity import parity_lines
from building.gallery.parts import body, options_table, page, sources
from building.gallery.snippets import network_snippet
from building.gallery.texts import sections, table
from pixelwise.networks.registry import decoder_named
from pixelwise.networks.zoo import ZOO


def network_page(key: str) -> str:
    """The page of a network as Markdown."""
    entry: Any = ZOO.get(key)
    decoder = decoder_named(entry.arch if entry else key)
    shown = entry or decoder
    drawn = network_flow(key, shown.backbone)
    text = sections("networks", key)
    says = about(sys.modules[decoder.__module__])
    paper = escaped(f"Source: {shown.source}")
    parts = [
        ("What it is for", text.get("What it is for", "")),
        ("Diagram", _diagram(shown, drawn)),
        ("Equation", body(says)),
        ("When to choose it", text.get("When to choose it", "")),
        (
            "Paper and released code",
            sources(says) if entry is None else paper,
        ),
        ("Options", options_table(decoder)),
        ("Layers", _layers(drawn)),
        ("Cost", _cost(shown.backbone, drawn)),
        ("Tasks", _tasks(key)),
        ("Backbones", _backbones(key)),
        ("Equality", "\n".join(parity_lines("networks", key))),
        ("Checkpoints", _checkpoints(key)),
        ("Try it", f"```python\n{network_snippet(key, shown.backbone)}\n```"),
    ]
    line = shown.summary[:1].upper() + shown.summary[1:].rstrip(".")
    names = f" Also called {', '.join(shown.aliases)}." if shown.aliases else ""
    return page(f"{shown.title} (`{key}`)", escaped(f"{line} ({shown.year}).{names}"), parts)


def _diagram(shown: Any, drawn: NetworkDrawn) -> str:
    svg = drawing(drawn.flow, "flow", f"Block diagram of {shown.title}")
    return "\n".join(
        [
            "```{raw} html",
            f'<div class="figure-scroll">{svg}</div>',
            "```",
            "",
            f"With `{shown.backbone}`: h and w are those of the picture, k is the number of"
            " classes, and *256 at 1/4* is a map of 256 channels with a quarter of the rows and"
            " columns. Auxiliary outputs are for training.",
        ]
    )


def _layers(drawn: NetworkDrawn) -> str:
    if not drawn.layers:
        return "No attention layer of the [gallery](../index.md) is inside."
    listed = ", ".join(f"[`{key}`](../layers/{key}.md)" for key in drawn.layers)
    return f"It contains {listed}."


def _cost(backbone: str, drawn: NetworkDrawn) -> str:
    return (
        f"On `{backbone}` with {CLASSES} classes: {drawn.parameters:,} parameters with auxiliary"
        f" heads, {drawn.operations / 1e9:,.1f} GFLOP at {SIDE}×{SIDE} pixels without them;"
        " a multiplication and an addition count as two."
        " Measured times: [performance](../../performance.md)."
    )


def _tasks(key: str) -> str:
    rows = table("tasks.md")
    header = next(row for row in rows if row[0] == "network")
    own = next((row for row in rows if row[0] == f"`{key}`"), None)
    if own is None:
        return ""
    said = ", ".join(
        f"{task} ({cell.removeprefix('yes, ')})" if cell != "yes" else task
        for task, cell in zip(header[1:], own[1:], strict=True)
    )
    return f"Tested with: {said}. What that means: [networks and tasks](../../tasks.md)."


def _backbones(key: str) -> str:
    rows = [row for row in table("networks.md") if row[0] == f"`{key}`" and len(row) == 6]
    if not rows:
        return ""
    return "\n".join(
        [
            "| backbone | parameters | GFLOP at 512×512 | test | export |",
            "| --- | ---: | ---: | --- | --- |",
            *(f"| {' | '.join(row[1:])} |" for row in rows),
            "",
            "What is tested: [networks on backbones](../../networks.md). Any other backbone of"
            " timm can be named too.",
        ]
    )


def _checkpoints(key: str) -> str:
    rows = [row for row in table("checkpoints.md") if len(row) == 4 and f"`{key}`" in row[2]]
    if not rows:
        return ""
    return "\n".join(
        [
            "| code | recognised by | handled |",
            "| --- | --- | --- |",
            *(f"| {row[0]} | {row[1]} | {row[3]} |" for row in rows),
            "",
            "How to load them: [checkpoints](../../checkpoints.md).",
        ]
    )
