"""The table of a probe for a terminal."""

from collections.abc import Iterator, Sequence

from pixelwise.probe.reach import Curve
from pixelwise.probe.results import Results
from pixelwise.probe.seen import SHARE
from pixelwise.probe.variants import VARIANTS

FIELDS = ("theoretical", "effective")


def text_table(results: Results, curves: Sequence[Curve]) -> Iterator[str]:
    """Lines: a layer each, its reach in each variant."""
    if not curves:
        return
    variants = list(dict.fromkeys(one.variant for one in curves))
    found = {(one.subject, one.variant): one.text for one in curves}
    subjects = list(dict.fromkeys(one.subject for one in curves))
    width = max(5, *(len(name) for name in subjects))
    yield ""
    yield f"{'layer':{width}}" + "".join(f"  {name:>14}" for name in (*variants, *FIELDS))
    for subject in subjects:
        cells = [found.get((subject, variant), "") for variant in variants]
        field = results.fields.get(subject)
        cells += ["", ""] if field is None else [field.reach_text, field.radius_text]
        yield f"{subject:{width}}" + "".join(f"  {cell:>14}" for cell in cells)
    chances = ", ".join(f"{v} {100 * VARIANTS[v].chance:.0f} %" for v in variants)
    yield "reach in pixels, and pixels that are right on average over distances; chance: " + chances
    yield "theoretical: how far a pixel can be that matters, and whether its place does; effective:"
    yield f"pixels around that hold {100 * SHARE:.0f} % of the gradient energy of others"
