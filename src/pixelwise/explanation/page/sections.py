"""A section of a page: all that an explanation says of one pixel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from torch import Tensor

from pixelwise.explanation.page.svg import curves, overlaid, picture_with_cross
from pixelwise.explanation.page.tints import Tint, tinted
from pixelwise.explanation.page.verdict import judge
from pixelwise.explanation.page.wording import (
    KIND_OF_MAP,
    KINDS,
    about,
    answer,
    baseline,
    grouped,
    measured,
    proven,
    reaching,
    short,
    with_unit,
    without_attention,
)
from pixelwise.explanation.placing import resampled
from pixelwise.explanation.result import ClassMap, Findings, LayerMap, ReceptiveField
from pixelwise.language import mark, spoken, translate
from pixelwise.pictures.attention import shortened
from pixelwise.pictures.evidence import channel_gates
from pixelwise.report import Block, Figure, Markup, Section, Table, Text

NO_EFFECT = mark("0: no effect yet")
SMALL = 128
"""Rows or columns of a head's picture at most: it is drawn small."""
OPEN = 4
"""Up to so many parts are not folded."""
NOT_ATTENTION = mark(
    "These are no attention maps: they come from gradients, or from covering"
    " parts of the picture, and are a baseline for comparison."
)


@dataclass(frozen=True)
class Drawer:
    """Draws what an explanation holds over its picture.

    Args:
        found: The explanation.
        picture: The name under which its picture is stored in the page.
        mark: That of the cross at its pixel.
    """

    found: Findings
    picture: str
    mark: str

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        height, width = self.found.picture.shape[:2]
        return height, width

    def asked(self) -> str:
        """The picture with the asked pixel."""
        label = translate("The picture, a cross at the asked pixel: {answer}").format(
            answer=answer(self.found)
        )
        drawn = picture_with_cross(self.picture, self.mark, self.size, label)
        return figure(
            drawn,
            self.found.class_name,
            [translate("what is asked: {answer}").format(answer=answer(self.found))],
        )

    def layer(self, one: LayerMap) -> str:
        """A layer's map; its heads and parts are folded."""
        assert one.spatial is not None
        values, unit = with_unit(one.spatial, one.kind)
        tint = tinted(values)
        covers = one.covers or (float(self.size[0]), float(self.size[1]))
        lines = [
            about(one),
            *measured(one.spatial.double().numpy(), values, tint, unit, covers, self.size),
            *proven(one),
        ]
        folded = ""
        if one.heads is not None and len(one.heads) > 1:
            named = {translate("head {i}").format(i=i): head for i, head in enumerate(one.heads)}
            folded += self._folded(
                translate("{named} heads").format(named=len(named)), one, named, opened=False
            )
        if one.parts:
            opened = len(one.parts) <= OPEN
            folded += self._folded(
                translate("{parts} parts").format(parts=len(one.parts)),
                one,
                one.parts,
                opened=opened,
            )
        return figure(self._over(tint, one.name, one.covers), one.name, lines, folded)

    def _folded(
        self, summary: str, one: LayerMap, maps: Mapping[str, Tensor], *, opened: bool
    ) -> str:
        drawn = []
        for name, values in maps.items():
            shown, unit = with_unit(values, one.kind)
            tint = tinted(shown, SMALL)
            peak = (
                translate("peak {nanmax:.3g}").format(nanmax=np.nanmax(shown))
                if np.isfinite(shown).any()
                else translate("not finite")
            )
            times = translate(" \N{MULTIPLICATION SIGN} mean") if "mean" in unit else ""
            over = self._over(tint, f"{one.name}, {name}", one.covers)
            drawn.append(figure(over, name, [f"{peak}{times}"]))
        return (
            f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>"
            f'<div class="maps small">{"".join(drawn)}</div></details>'
        )

    def receptive(self, one: ReceptiveField) -> str:
        """The receptive field, circles around what holds a half and nine tenths of it."""
        sides = [min(side, 2 * SMALL) for side in self.size]
        root = resampled(one.values, sides).double().sqrt().numpy()
        rings = [(self.found.at, each.radius) for each in one.reaches if each.radius is not None]
        drawn = self._over(
            tinted(root / root.max()), translate("effective receptive field"), None, rings
        )
        return figure(drawn, translate("effective receptive field"), list(reaching(one)))

    def class_map(self, one: ClassMap) -> str:
        """A class map."""
        values = one.values.double().numpy()
        tint = tinted(values)
        covers = one.covers or (float(self.size[0]), float(self.size[1]))
        lines = [baseline(one), *measured(values, values, tint, "", covers, self.size)]
        title = f"{one.class_name}: {spoken(KIND_OF_MAP[one.method])}"
        return figure(
            self._over(tint, translate("evidence for {title}").format(title=title), one.covers),
            title,
            lines,
        )

    def _over(
        self,
        tint: Tint,
        label: str,
        covers: tuple[float, float] | None,
        circles: Sequence[tuple[tuple[int, int], float]] = (),
    ) -> str:
        return overlaid(
            self.picture,
            self.mark,
            self.size,
            tint,
            label=translate("{label}, over the picture").format(label=label),
            covers=covers,
            circles=circles,
        )


def figure(drawn: str, title: str, lines: Sequence[str], folded: str = "") -> str:
    """A drawing with its caption."""
    said = "".join(f"<span>{escape(spoken(line))}</span>" for line in lines)
    return f"<figure>{drawn}<figcaption><b>{escape(title)}</b>{said}</figcaption>{folded}</figure>"


def grid(figures: Iterable[str]) -> Markup:
    """Figures side by side, as many as there is room for."""
    return Markup(f'<div class="maps">{"".join(figures)}</div>')


def section(
    found: Findings, drawn: Sequence[LayerMap], picture: str, mark: str, text: str = ""
) -> Section:
    """Maps, channel gates, the check by deletion, class maps, and what each layer cost.

    Args:
        found: The explanation.
        drawn: Those of its maps that are drawn.
        picture: The name under which its picture is stored in the page.
        mark: That of the cross at its pixel.
        text: A remark at the top.
    """
    drawer = Drawer(found, picture, mark)
    maps = [*drawn, *([] if found.rollout is None else [found.rollout])]
    figures = [drawer.asked()]
    figures += [drawer.layer(one) for one in maps if one.spatial is not None]
    evidence = [] if found.receptive is None else [drawer.receptive(found.receptive)]
    evidence += [drawer.class_map(one) for one in found.class_maps]
    blocks: list[Block] = []
    if not found.maps:
        text = "\n\n".join(filter(None, [text, without_attention(found)]))
        blocks.append(grid([*figures, *evidence]))
    else:
        blocks.append(grid(figures))
    blocks += _channels(drawn)
    blocks += _deletions(found)
    if found.maps and evidence:
        blocks += [Text(translate("Without attention"), translate(NOT_ATTENTION)), grid(evidence)]
    if found.notes:
        blocks.append(Text(translate("What is not shown"), "\n\n".join(grouped(found.notes))))
    blocks += [Text(translate("Cost")), _costs(found)]
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
                alt=translate("Channel gates of {name}").format(name=found.name),
                caption=f"{found.name}: {found.key}, {_highest(gates.tolist())}",
            )
        )
    return [Text(translate("Channel gates")), *figures] if figures else []


def _highest(gates: Sequence[float]) -> str:
    order = sorted(range(len(gates)), key=lambda i: -gates[i])
    return translate("highest ") + ", ".join(f"{i} ({gates[i]:.2f})" for i in order[:3])


def _deletions(found: Findings) -> list[Block]:
    figures = []
    for one in found.deletions:
        verdict = judge(one)
        label = translate("Probability while pixels are deleted as {name} says").format(
            name=one.name
        )
        drawn = curves(one.shares, one.attended, one.random, marked=verdict.share, label=label)
        figures.append(figure(drawn, one.name, [verdict.sentence]))
    if not figures:
        return []
    text = translate(
        "The line with dots: the most attended pixels deleted first. Dashes: the"
        " mean of random orders, in a band from the least to the most of them."
    )
    return [Text(translate("Does the map tell what matters?"), text), grid(figures)]


def _costs(found: Findings) -> Table:
    inserted = any(one.gain is not None for one in found.maps)
    proofs = any(one.proof is not None for one in found.maps)
    rows = []
    for one in found.maps:
        cells = [
            shortened(one.name, 40),
            one.key,
            spoken(KINDS[one.kind]),
            f"{one.size[0]}x{one.size[1]}",
            *_spent(one.seconds, one.peak_bytes),
        ]
        if proofs:
            cells += ["" if one.proof is None else short(one.proof), f"{100 * one.apart:.1f}"]
        if inserted:
            gain = (
                "" if one.gain is None else f"{one.gain:.3g}" if one.gain else translate(NO_EFFECT)
            )
            cells.append(gain)
        rows.append(tuple(cells))
    rest: list[tuple[str, ReceptiveField | ClassMap]] = []
    if found.receptive is not None:
        rest.append((translate("receptive field"), found.receptive))
    rest += [
        (translate("{method} map").format(method=spoken(KIND_OF_MAP[one.method])), one)
        for one in found.class_maps
    ]
    blank = ("",) * (2 * proofs + inserted)
    for name, other in rest:
        shape = "x".join(map(str, other.values.shape))
        spent = _spent(other.seconds, other.peak_bytes)
        rows.append((name, "", translate("no attention"), shape, *spent, *blank))
    header = [
        translate("layer"),
        translate("key"),
        translate("map"),
        translate("rows x columns"),
        "ms",
        translate("peak MB"),
    ]
    caption = translate("Time and memory to compute the map, the forward pass of the layers aside.")
    if proofs:
        header += [translate("proof"), translate("apart, %")]
        caption += translate(
            " The proof is how far weights times values are from what the attention"
            " gave, relative to the largest value; apart is the weight on tokens that"
            " are no pixels."
        )
    if inserted:
        header.append(translate("gain"))
        caption += translate(
            " The gain is that of inserted layers: the mean size of what scales their effect."
        )
    return Table(tuple(header), tuple(rows), caption)


def _spent(seconds: float, peak: int) -> tuple[str, str]:
    return f"{1000 * seconds:.1f}", f"{peak / 1e6:.1f}"
