"""How far a layer reaches: what networks with it learned of markers at a distance."""

from building.gallery.charts import Axis, Curve, chart
from building.gallery.texts import measured

OTHERS = (("conv3x3", "3×3 convolution", "chart-2"), ("none", "no layer", "chart-0"))


def reach_chart(key: str, title: str) -> str:
    """The accuracy of the probe against distance as SVG; empty where the layer was not probed."""
    own = _points(key)
    if not own:
        return ""
    curves = [Curve(title if len(title) < 22 else key, own, "chart-1")]
    curves += [Curve(said, _points(name), kind) for name, said, kind in OTHERS]
    last = int(own[-1][0])
    ticks = [(float(d), str(d)) for d in range(1, last + 1, max(1, last // 5))]
    if ticks[-1][0] < last:
        ticks.append((float(last), str(last)))
    up = Axis("share of pixels that are right", [(0, "0"), (0.5, "50 %"), (1, "100 %")])
    across = Axis("distance of the marker, pixels", ticks)
    return chart("pixels that know the marker's colour", across, up, curves, "reach")


def _points(layer: str) -> list[tuple[float, float]]:
    return [
        (float(row["distance"]), float(row["accuracy"]))
        for row in measured("probe")
        if row["layer"] == layer and row["variant"] == "distance"
    ]


def reach_lines(key: str) -> list[str]:
    """The same in numbers, as lines of Markdown."""
    probed = [row for row in measured("probe_reach") if row["layer"] == key]
    fields = [row for row in measured("receptive_fields") if row["layer"] == key]
    lines = []
    for row in probed:
        lines += [
            "| what a pixel must know | reach, pixels | tested to | accuracy over all distances |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {says} | {row[name]} | {row[f'{name}_tested']}"
                f" | {float(row[f'{name}_accuracy']):.1%} |"
                for name, says in (
                    ("distance", "whether: the colour of the one marker"),
                    ("position", "where: in which quadrant it lies"),
                    ("order", "which of two markers side by side comes first"),
                    ("count", "how many markers there are"),
                )
            ),
            "",
        ]
    for row in fields:
        energy = (
            f"half of the gradient energy of other pixels lies within {row['radius_50']} pixels,"
            f" 90 % within {row['radius_90']}"
        )
        if row["radius_50"] == "nan":
            energy = "no gradient comes from other pixels"
        lines += [
            f"Before training, on a map of {row['size'].replace('x', '×')}: the field is"
            f" {row['shape']} ({row['order']}), and {energy}.",
            "",
        ]
    if lines:
        lines.append(
            "How this is measured: [how far does context reach](../../probe.md) and"
            " [receptive fields](../../receptive-fields.md)."
        )
    return lines
