"""The table of a probe for a terminal."""

from collections.abc import Iterator, Sequence

from pixelwise.language import cells, left, mark, right, translate
from pixelwise.probe.reach import Curve
from pixelwise.probe.results import Results
from pixelwise.probe.seen import SHARE
from pixelwise.probe.variants import VARIANTS

FIELDS = (mark("theoretical"), mark("effective"))


def text_table(results: Results, curves: Sequence[Curve]) -> Iterator[str]:
    """Lines: a layer each, its reach in each variant."""
    if not curves:
        return
    variants = list(dict.fromkeys(one.variant for one in curves))
    found = {(one.subject, one.variant): translate(one.text) for one in curves}
    subjects = list(dict.fromkeys(one.subject for one in curves))
    width = max(cells(translate("layer")), *(len(name) for name in subjects))
    yield ""
    yield left(translate("layer"), width) + "".join(
        f"  {right(name, 14)}" for name in (*variants, *map(translate, FIELDS))
    )
    for subject in subjects:
        told = [found.get((subject, variant), "") for variant in variants]
        field = results.fields.get(subject)
        told += ["", ""] if field is None else [field.reach_text, translate(field.radius_text)]
        yield f"{subject:{width}}" + "".join(f"  {right(cell, 14)}" for cell in told)
    chances = ", ".join(f"{v} {100 * VARIANTS[v].chance:.0f} %" for v in variants)
    yield translate(
        "reach in pixels, and pixels that are right on average over distances; chance: {chances}"
    ).format(chances=chances)
    yield translate(
        "theoretical: how far a pixel can be that matters, and whether its place does; effective:\n"
        "pixels around that hold {share:.0f} % of the gradient energy of others"
    ).format(share=100 * SHARE)
