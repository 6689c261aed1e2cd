"""Pictures for people: masks in colour, comparisons, curves, confusion matrices, attention maps.

Pictures are uint8 (h, w, 3) arrays or PNG bytes; `write_bytes` puts the latter into a file. Nothing
is told apart by hue alone: classes have outlines and a legend, marks differ in lightness.
"""

from pixelwise.pictures.charts import confusion_matrix, curves, precision_over_recall
from pixelwise.pictures.comparison import comparison, legend, side_by_side, triptych
from pixelwise.pictures.files import png, write_bytes
from pixelwise.pictures.labels import label_overlay, label_panels, label_sheet, threshold_curves
from pixelwise.pictures.masks import (
    coloured,
    displayable,
    overlay,
    write_index_png,
    wrong_pixels,
)
from pixelwise.pictures.overlays import map_overlay
from pixelwise.pictures.points import (
    error_curves,
    error_histograms,
    point_sheet,
    point_tile,
    points_beside,
    with_points,
)
from pixelwise.pictures.rates import rate_curve
from pixelwise.pictures.reliability import difference_chart, over_threshold, reliability
from pixelwise.pictures.values import bias_chart, colour_bar, shaded, stacked, value_panels

__all__ = [
    "bias_chart",
    "colour_bar",
    "coloured",
    "comparison",
    "confusion_matrix",
    "curves",
    "difference_chart",
    "displayable",
    "error_curves",
    "error_histograms",
    "label_overlay",
    "label_panels",
    "label_sheet",
    "legend",
    "map_overlay",
    "over_threshold",
    "overlay",
    "png",
    "point_sheet",
    "point_tile",
    "points_beside",
    "precision_over_recall",
    "rate_curve",
    "reliability",
    "shaded",
    "side_by_side",
    "stacked",
    "threshold_curves",
    "triptych",
    "value_panels",
    "with_points",
    "write_bytes",
    "write_index_png",
    "wrong_pixels",
]
