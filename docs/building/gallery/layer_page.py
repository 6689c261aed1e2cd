"""The page of a layer: equation, figure, plain form, options, cost, reach, checkpoints."""

import inspect
import re
import sys

from building.gallery import costs, reach
from building.gallery.drawing import drawing
from building.gallery.equations import About, about, escaped
from building.gallery.layers_run import Drawn, layer_flow
from building.gallery.parity import parity_lines, systems
from building.gallery.parts import body, options_table, page, sources
from building.gallery.snippets import layer_snippet, plain_source
from building.gallery.texts import sections, table
from pixelwise.layers.base import Layer
from pixelwise.layers.registry import available

KEY = (
    ("convolution", "convolution"),
    ("pool", "mean, sum, maximum"),
    ("softmax", "softmax"),
    ("gate", "gate"),
    ("product", "product, + and ×"),
    ("move", "other"),
)


def layer_page(key: str) -> str:
    """The page of a layer as Markdown."""
    cls = available()[key]
    says = about(sys.modules[cls.__module__])
    text = sections("layers", key)
    drawn = layer_flow(cls)
    parts = [
        ("What it is for", text.get("What it is for", "")),
        ("Equation", _equation(cls, says)),
        ("Flow of data", _figure(cls, drawn)),
        ("Options", options_table(cls)),
        ("Paper and released code", sources(says)),
        ("What copies get wrong", text.get("What copies get wrong", "")),
        ("Cost", _cost(cls)),
        ("Equality", _equality(key)),
        ("Reach", _reach(cls)),
        ("Where to put it", text.get("Where to put it", "")),
        ("Checkpoints", _checkpoints(cls)),
        ("Limits", _limits(key)),
        ("Try it", f"```python\n{layer_snippet(cls)}\n```"),
    ]
    return page(f"{cls.title} (`{key}`)", subtitle(cls, says.line), parts)


def subtitle(cls: type[Layer], line: str) -> str:
    """What the layer does in a sentence, its year and its other names."""
    names = f" Also called {', '.join(cls.aliases)}." if cls.aliases else ""
    year = f" ({cls.year})" if cls.year else ""
    return escaped(f"{line.rstrip('.')}{year}.{names}")


def _equation(cls: type[Layer], says: About) -> str:
    code = plain_source(cls.plain)  # type: ignore[attr-defined]
    return "\n".join(
        [
            "::::{container} side-by-side",
            ":::{container} equation-side",
            body(says),
            ":::",
            ":::{container} code-side",
            "The same in plain form, as it stands in the layer:",
            "",
            f"```python\n{code}\n```",
            ":::",
            "::::",
        ]
    )


def _figure(cls: type[Layer], drawn: Drawn) -> str:
    svg = drawing(drawn.flow, "flow", f"Flow of data through {cls.title}")
    says = ["Shapes are without the axis of pictures; n = h w."]
    if any(arrow.skips for arrow in drawn.flow.arrows):
        says.append("Dashed arrows pass by what others go through.")
    for value, name in drawn.constants.items():
        meant = "channels of the guide" if name == "k" else f"the option, {value} by default"
        says.append(f"{name}: {meant}.")
    says += [
        f"With {option} = {default}, the default, steps repeat; they are drawn once."
        for option, default in drawn.once.items()
    ]
    told = (f"{box.lines[0]}: {box.says}" for box in drawn.flow.boxes if box.says)
    says += [escaped(line) for line in dict.fromkeys(told)]
    kinds = {box.kind for box in drawn.flow.boxes} | {"move"}
    kinds |= {"product"} if "pair" in kinds else set()
    legend = "".join(
        f'<span class="flow-legend-{kind}">{name}</span>' for kind, name in KEY if kind in kinds
    )
    return "\n".join(
        [
            "```{raw} html",
            f'<div class="figure-scroll">{svg}</div>',
            f'<div class="flow-key" aria-hidden="true">{legend}</div>',
            "```",
            "",
            " ".join(says),
        ]
    )


def _cost(cls: type[Layer]) -> str:
    found = costs.counted(cls)
    doc = inspect.getdoc(cls) or ""
    stated = re.search(r"^Cost:\n((?:    .*\n?)+)", doc, re.MULTILINE)
    lines = []
    if stated:
        lines += [escaped(" ".join(stated[1].split())), ""]
    lines += [
        f"{found.parameters:,} parameters with {costs.CHANNELS} channels. Operations are counted,"
        " and memory on a CPU is predicted, for one picture in float32 and forward alone; *lean*"
        " is what runs, *plain* is the form above.",
        "",
        "```{raw} html",
        costs.charts(cls.key, found),
        "```",
        "",
    ]
    if grown := costs.growth(cls.key):
        options = grown[0]["name"].partition(":")[2]
        lines += [
            f"Times were measured on {grown[0]['date']}: {grown[0]['cpu']},"
            f" {grown[0]['threads']} threads, torch {grown[0]['torch'].split('+')[0]}"
            + (f", `{options}`" if options else "")
            + ".",
            "",
        ]
    lines += costs.time_table(cls.key)
    lines += ["", "More: [performance](../../performance.md)."]
    return "\n".join(lines)


def _equality(key: str) -> str:
    return "\n".join(parity_lines("layers", key)) or (
        "There is no recording of other code for this layer."
    )


def _reach(cls: type[Layer]) -> str:
    svg = reach.reach_chart(cls.key, cls.title)
    lines = reach.reach_lines(cls.key)
    if not svg and not lines:
        return ""
    figure = ["```{raw} html", f'<div class="charts">{svg}</div>', "```", ""] if svg else []
    return "\n".join([*figure, *lines])


def _checkpoints(cls: type[Layer]) -> str:
    keys = cls.reference_keys
    networks = sorted(
        {
            system.own[1]
            for system in systems()
            if ("layers", cls.key) in system.inside and system.own and system.own[0] == "networks"
        }
    )
    lines = []
    if keys:
        lines += [
            "`layer.load_reference(state_dict)` loads weights under these names of the sources"
            " above; all must fit.",
            "",
            "| name there | name here |",
            "| --- | --- |",
            *(f"| {_code(theirs)} | {_code(ours)} |" for theirs, ours in keys.items()),
            "",
        ]
    if networks:
        listed = ", ".join(f"[`{name}`](../networks/{name}.md)" for name in networks)
        lines.append(
            f"Whole networks that have it: {listed}. Their checkpoints load as they are:"
            " [checkpoints](../../checkpoints.md)."
        )
    return "\n".join(lines)


def _code(name: str) -> str:
    return f"`{name}`" if name else "(the layer itself)"


def _limits(key: str) -> str:
    header, *rows = [row for row in table("layers.md") if row[0] in ("layer", f"`{key}`")]
    if not rows:
        return ""
    cells = dict(zip(header, rows[0], strict=True))
    kinds = [kind for kind in ("float16", "bfloat16", "float32", "float64") if cells[kind] == "yes"]
    limits = cells["limits"]
    return (
        f"Number types that are tested: {', '.join(kinds)}. Limits of the input: {limits}."
        " All tested properties: [tested properties of the layers](../../layers.md)."
    )
