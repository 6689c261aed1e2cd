"""Tables, pictures and the page of a probe, from what is done."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.language import mark, translate
from pixelwise.pictures import write_bytes
from pixelwise.probe.charts import FEW, accuracy_chart
from pixelwise.probe.field_pictures import fields_picture
from pixelwise.probe.page import page
from pixelwise.probe.reach import Curve
from pixelwise.probe.results import Results, accuracy_rows, csv_bytes
from pixelwise.probe.variants import VARIANTS
from pixelwise.report import Figure, write_report

LINES = mark(
    " Dotted: chance. Dashed: half way from there to all, which counts as reached. Bands: 95 %"
    " intervals."
)


def write(results: Results, folder: Path) -> list[Curve]:
    """Tables, pictures and the page, of what is done."""
    curves = [
        found
        for subject in results.subjects
        for variant in VARIANTS
        if (found := results.curve(subject, variant)) is not None
    ]
    if not curves:
        return []
    write_bytes(folder / "probe.csv", csv_bytes(accuracy_rows(results, tuple(VARIANTS))))
    write_bytes(folder / "reach.csv", csv_bytes(reach_rows(results, curves)))
    chart, few = accuracy_chart(curves), len(results.subjects) <= FEW
    write_bytes(folder / "accuracy.png", chart)
    figures = [
        Figure(
            chart,
            translate("Accuracy against distance, by variant and layer"),
            translate("Pixels that are right against the distance of the marker.")
            + translate(LINES) * few,
            wide=True,
        )
    ]
    fields = {
        name: results.fields[name].field for name in results.subjects if name in results.fields
    }
    if fields:
        picture = fields_picture(fields)
        write_bytes(folder / "fields.png", picture)
        figures.append(
            Figure(
                picture,
                translate("Effective receptive fields, by layer"),
                translate(
                    "Effective receptive fields before training: the gradient energy of"
                    " every pixel, for the one in the middle."
                ),
                wide=True,
            )
        )
    write_report(folder, page(results, curves, figures))
    return curves


def reach_rows(results: Results, curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """A row for each layer: reach and mean accuracy of each variant, parameters, seconds."""
    variants = list(dict.fromkeys(one.variant for one in curves))
    by_name = {(one.subject, one.variant): one for one in curves}
    rows = []
    for subject in results.subjects:
        own = [one for one in results.trained if one.subject == subject]
        row: dict[str, Any] = {"layer": subject}
        for variant in variants:
            found = by_name.get((subject, variant))
            row[variant] = None if found is None else found.reach
            row[f"{variant}_tested"] = None if found is None else found.points[-1].distance
            row[f"{variant}_accuracy"] = None if found is None else round(found.mean, 4)
        field = results.fields.get(subject)
        row["theoretical"] = None if field is None else field.reach
        row["places"] = None if field is None else field.order
        row["shape"] = None if field is None else field.shape
        row["effective"] = None if field is None else field.radius_text
        row["parameters"] = own[0].parameters
        row["seconds"] = round(sum(one.seconds for one in own), 1)
        rows.append(row)
    return rows
