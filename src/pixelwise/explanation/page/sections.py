"""A section of a page: all that an explanation says of one pixel."""

from collections.abc import Iterable, Sequence

from pixelwise.explanation.page.drawing import KINDS, answer, draw_class_maps, draw_maps, with_unit
from pixelwise.explanation.page.verdict import judge
from pixelwise.explanation.result import Findings, LayerMap
from pixelwise.pictures.attention import shortened
from pixelwise.pictures.evidence import channel_gates, deletion_curves
from pixelwise.report import Block, Figure, Section, Table, Text

NO_EFFECT = "0: no effect yet"


def section(found: Findings, drawn: Sequence[LayerMap], text: str = "") -> Section:
    """Maps, channel gates, the check by deletion, class maps, and what each layer cost.

    Args:
        found: The explanation.
        drawn: Those of its maps that are drawn.
        text: A remark at the top.
    """
    blocks: list[Block] = [
        Figure(
            draw_maps(found, drawn),
            alt=f"{answer(found)}: the picture and the maps of its attention layers",
            wide=True,
        )
    ]
    blocks += _channels(drawn)
    blocks += _deletions(found)
    blocks += _class_maps(found)
    blocks += [Text("Cost"), _costs(found.maps)]
    return Section(answer(found), text, tuple(blocks))


def _channels(maps: Iterable[LayerMap]) -> list[Block]:
    figures = []
    for found in maps:
        if found.channel is None:
            continue
        gates, unit = with_unit(found.channel, "channel")
        figures.append(
            Figure(
                channel_gates(gates, unit=unit),
                alt=f"Channel gates of {found.name}",
                caption=f"{found.name}: {found.key}, {_highest(gates.tolist())}",
            )
        )
    return [Text("Channel gates"), *figures] if figures else []


def _highest(gates: Sequence[float]) -> str:
    order = sorted(range(len(gates)), key=lambda i: -gates[i])
    return "highest " + ", ".join(f"{i} ({gates[i]:.2f})" for i in order[:3])


def _deletions(found: Findings) -> list[Block]:
    figures: list[Block] = []
    for deletion in found.deletions:
        verdict = judge(deletion)
        figures.append(
            Figure(
                deletion_curves(
                    deletion.shares, deletion.attended, deletion.random, marked=verdict.share
                ),
                alt=f"Probability while pixels are deleted as {deletion.name} says",
                caption=f"{deletion.name}. {verdict.sentence}",
            )
        )
    return [Text("Does the map tell what matters?"), *figures] if figures else []


def _class_maps(found: Findings) -> list[Block]:
    if not found.class_maps:
        return []
    name = found.class_maps[0].class_name
    text = (
        "Where the evidence for the class lies. These are no attention maps: they come from "
        "gradients, or from covering parts of the picture, and are a baseline for comparison."
    )
    drawn = draw_class_maps(found, found.class_maps, name)
    return [Text("Class maps", text), Figure(drawn, alt=f"Evidence for {name}", wide=True)]


def _costs(maps: Sequence[LayerMap]) -> Table:
    inserted = any(found.gain is not None for found in maps)
    rows = []
    for found in maps:
        measured = (
            shortened(found.name, 40),
            found.key,
            KINDS[found.kind],
            f"{found.size[0]}x{found.size[1]}",
            f"{1000 * found.seconds:.1f}",
            f"{found.peak_bytes / 1e6:.1f}",
        )
        gain = "" if found.gain is None else f"{found.gain:.3g}" if found.gain else NO_EFFECT
        rows.append((*measured, gain) if inserted else measured)
    header: tuple[str, ...] = ("layer", "key", "map", "rows x columns", "ms", "peak MB")
    caption = "Time and memory to compute the map, the forward pass aside."
    if inserted:
        header += ("gain",)
        caption += (
            " The gain is that of inserted layers: the mean size of what scales their effect."
        )
    return Table(header, tuple(rows), caption)
