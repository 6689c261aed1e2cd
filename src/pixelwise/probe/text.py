"""The table of a probe for a terminal."""

from collections.abc import Iterator, Sequence

from pixelwise.probe.reach import Curve
from pixelwise.probe.variants import VARIANTS


def text_table(curves: Sequence[Curve]) -> Iterator[str]:
    """Lines: a layer each, its reach in each variant."""
    if not curves:
        return
    variants = list(dict.fromkeys(one.variant for one in curves))
    found = {(one.subject, one.variant): one.text for one in curves}
    subjects = list(dict.fromkeys(one.subject for one in curves))
    width = max(5, *(len(name) for name in subjects))
    yield ""
    yield f"{'layer':{width}}" + "".join(f"  {name:>14}" for name in variants)
    for subject in subjects:
        cells = (found.get((subject, variant), "") for variant in variants)
        yield f"{subject:{width}}" + "".join(f"  {cell:>14}" for cell in cells)
    chances = ", ".join(f"{v} {100 * VARIANTS[v].chance:.0f} %" for v in variants)
    yield "reach in pixels, and pixels that are right on average over distances; chance: " + chances
