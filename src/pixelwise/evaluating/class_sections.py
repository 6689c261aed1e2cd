"""The parts of a page that are on networks with one class per pixel."""

from collections.abc import Iterator, Mapping

from pixelwise import pictures
from pixelwise.language import translate
from pixelwise.report import Block, Figure, Legend, Matrix, Section, Table
from pixelwise.tasks.base import Task
from pixelwise.tasks.class_examination import BORDERS, ClassExamination
from pixelwise.tasks.class_masks import ClassMasks

MOST = 30
"""Of more classes the confusion matrix is a picture."""


def class_sections(
    result: ClassExamination, used: float, files: Mapping[str, bytes]
) -> Iterator[Section]:
    """Scores per class, the confusion matrix, calibration and thresholds.

    Args:
        result: The scores.
        used: The threshold of a binary network.
        files: Of the evaluation.
    """
    yield Section(translate("Scores per class"), "", (_table(result),))
    yield Section(translate("What is taken for what"), "", (_confusion(result, files),))
    yield Section(translate("Probabilities"), "", tuple(_probabilities(result, used, files)))


def legend_of(task: Task) -> Legend:
    """The colours of the classes."""
    assert isinstance(task, ClassMasks)
    return Legend(dict(zip(task.names, task.palette, strict=False)))


def _table(result: ClassExamination) -> Table:
    ends = result.intervals
    rates = result.rates
    columns = {
        translate("precision"): rates.precision,
        translate("recall"): rates.recall,
        "F1": rates.f1,
        "AP": result.average_precision,
        **{translate(BORDERS[name]): values for name, values in result.borders.items()},
    }
    rows = [
        (
            translate("mean"),
            _percent(result.scores.miou),
            _interval(ends.miou),
            *("" for _ in columns),
            "",
        )
    ]
    for number, name in enumerate(result.names):
        iou = result.scores.iou[number]
        cells = (_percent(values[number]) for values in columns.values())
        shown = translate("absent") if iou is None else _percent(iou)
        pixels = f"{result.scores.pixels[number]:,}"
        rows.append((name, shown, _interval(ends.iou[number]), *cells, pixels))
    caption = translate(
        "In %; IoU of the union of truth and prediction. 'absent': no pixel of"
        " the class in the truth. 95 % intervals by a bootstrap over pictures:"
        " how far the scores depend on which pictures were evaluated, not how far"
        " another training would lead elsewhere."
    )
    if ends.miou is None:
        caption += translate(" One picture gives no interval.")
    return Table(
        (
            translate("class"),
            translate("IoU"),
            translate("95 % interval"),
            *columns,
            translate("true pixels"),
        ),
        tuple(rows),
        caption,
    )


def _confusion(result: ClassExamination, files: Mapping[str, bytes]) -> Block:
    text = translate(
        "Rows are the true classes, columns the predicted ones, in % of the true pixels."
    )
    if len(result.names) > MOST:
        return Figure(files["confusion.png"], translate("Confusion matrix"), text, wide=True)
    rows = tuple(
        tuple(value / sum(row) for value in row) if sum(row) else None
        for row in result.confusion.matrix.tolist()
    )
    return Matrix(result.names, rows, text)


def _probabilities(
    result: ClassExamination, used: float, files: Mapping[str, bytes]
) -> Iterator[Block]:
    bins = result.counts.calibration.bins()
    total = sum(pixels for pixels, _, _ in bins)
    if total:
        yield Figure(
            pictures.reliability(
                [sure for _, sure, _ in bins],
                [right for *_, right in bins],
                [pixels / total for pixels, _, _ in bins],
            ),
            translate("How often pixels are right, over how sure their class was"),
            translate(
                "Calibration: on the dotted line, pixels are right as often as the network is sure."
            ),
        )
    curve = result.curves.get(1)
    if result.counts.single and curve is not None:
        marks = {"in use": used}
        if result.best_threshold is not None and result.best_threshold != used:
            marks["largest F1 at"] = result.best_threshold
        yield Figure(
            pictures.over_threshold(
                curve.thresholds.numpy(),
                {
                    "precision": curve.precision.numpy(),
                    "recall": curve.recall.numpy(),
                    "F1": curve.f1.numpy(),
                },
                marks,
            ),
            translate("Precision, recall and F1 over the threshold"),
            translate("{result}: what a threshold of its probability brings.").format(
                result=result.names[1]
            ),
        )
    if result.curves:
        yield Figure(
            files["thresholds.png"],
            translate("Precision over recall"),
            translate(
                "Precision over recall, while the threshold of a class's probability changes."
            ),
        )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return (
        "-"
        if ends is None
        else (
            translate("{low} to {high}").format(
                low=f"{100 * ends[0]:.2f}", high=f"{100 * ends[1]:.2f}"
            )
        )
    )
