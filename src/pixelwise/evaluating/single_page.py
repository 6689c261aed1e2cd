"""The page of one network's evaluation."""

from collections.abc import Iterator, Mapping

import torch

from pixelwise import __version__
from pixelwise.data.source import Source
from pixelwise.evaluating.class_sections import class_sections, legend_of
from pixelwise.evaluating.request import Request
from pixelwise.evaluating.scoring import Scored
from pixelwise.evaluating.writing import worst_first
from pixelwise.metrics import Tallies
from pixelwise.predict.worst import FILES
from pixelwise.report import (
    Block,
    Commands,
    Figure,
    Highlight,
    Report,
    Section,
    Settings,
    Table,
)
from pixelwise.tasks.class_examination import ClassExamination

LISTED = 20
"""So many of the worst pictures stand in the page's table."""
COLUMNS = 6
"""So many scores of a picture are shown there."""
MAIN = 4
"""So many numbers are shown first."""
INTERVALS = (
    "95 % intervals by a bootstrap over pictures: they tell how far the scores depend on which"
    " pictures were evaluated, not how far another training would lead elsewhere."
)
ALTS = {
    "confusion.png": "Confusion matrix",
    "thresholds.png": "Scores over the threshold",
    "bias.png": "Mean error by range of true values",
    "errors.png": "Share of points within a distance",
    "histogram.png": "How errors are spread",
    "worst.png": "The figures with the largest errors",
}


def single_page(
    scored: Scored, request: Request, source: Source, files: Mapping[str, bytes]
) -> Report:
    """Scores with intervals, charts and the worst pictures.

    Args:
        scored: The network.
        request: The evaluation.
        source: The data.
        files: The evaluation's files.
    """
    result, tallies = scored.result, scored.tallies
    sections: list[Section] = []
    if isinstance(result, ClassExamination):
        used = scored.model.config.task_options.get("threshold", 0.5)
        sections += class_sections(result, used, files)
    else:
        if tallies is not None:
            sections.append(Section("Scores", "", (scores_table(tallies),)))
        charts = tuple(
            Figure(content, ALTS.get(name, name), name.removesuffix(".png"))
            for name, content in files.items()
            if name.endswith(".png") and name not in (*FILES, "worst.png")
        )
        if charts:
            sections.append(Section("Charts", "", charts))
    worst = tuple(_worst(scored, files))
    if worst:
        sections.append(Section("Pictures, the worst first", "", worst))
    sections.append(Section("What was run", "", (facts(scored, request, source),)))
    run = scored.run
    after = {f"pixelwise predict {run} PICTURES": "predictions for other pictures"}
    if request.average is not None:
        after = {f"pixelwise predict {request.out} PICTURES": "with the averaged network"}
    after[f"pixelwise evaluate {run} ANOTHER"] = "this network beside another one"
    sections.append(Section("What to type next", "", (Commands(after),)))
    return Report(
        f"Evaluation of {run}",
        f"{len(scored.names)} pictures of {request.split} of {source.name}.",
        tuple(_highlights(scored)),
        tuple(sections),
        footer(),
    )


def footer() -> str:
    """Where the numbers come from."""
    return f"pixelwise {__version__}, PyTorch {torch.__version__}. This page is one file."


def scores_table(tallies: Tallies) -> Table:
    """Each score with its interval."""
    rows = tuple(
        (kind.title, f"{kind.text(value)} {kind.told_in}".rstrip(), kind.interval(ends) or "-")
        for kind, value, ends in zip(
            tallies.kinds, tallies.scores(), tallies.intervals(), strict=True
        )
    )
    return Table(("score", "value", "95 % interval"), rows, INTERVALS)


def facts(scored: Scored, request: Request, source: Source) -> Settings:
    """What was evaluated on what."""
    config = scored.model.config
    values = {
        "network": f"{config.arch} on {config.backbone}",
        "data": f"{source.name}, {request.split}",
        "tiles": f"pictures beyond {request.window} pixels, overlap {request.overlap:g}",
    }
    return Settings({**values, **dict(_options(scored, request))})


def _options(scored: Scored, request: Request) -> Iterator[tuple[str, str]]:
    if not request.views.single:
        mirrored = ", each mirrored too" if request.views.flip else ""
        yield "scales", ", ".join(f"{s:g}" for s in request.views.scales) + mirrored
    if request.average is not None:
        yield (
            "weights",
            f"mean of the {request.average} newest checkpoints, batch norms measured anew",
        )
    if "threshold" in scored.model.config.task_options:
        yield "threshold", f"{scored.model.config.task_options['threshold']:g}"
    if scored.holed:
        yield "pixels without data", f"{sum(n for _, n in scored.holed):,}, which do not count"


def _highlights(scored: Scored) -> Iterator[Highlight]:
    tallies = scored.tallies
    if tallies is None:
        for name, value in list(scored.result.numbers().items())[:MAIN]:
            yield Highlight(name, "none" if value is None else f"{value:.4g}")
        return
    each = zip(tallies.kinds, tallies.scores(), tallies.intervals(), strict=True)
    number = 2 if isinstance(scored.result, ClassExamination) else MAIN
    for kind, value, ends in list(each)[:number]:
        note = f"95 % interval {kind.interval(ends)}" if ends else "no interval from one picture"
        yield Highlight(kind.title, f"{kind.text(value)} {kind.told_in}".rstrip(), note)
    if isinstance(scored.result, ClassExamination):
        error = scored.result.calibration_error
        if error is not None:
            yield Highlight("calibration error", f"{100 * error:.2f} %", "ECE, 15 bins")
    yield Highlight("pictures", f"{len(tallies.pictures)}", "evaluated")


def _worst(scored: Scored, files: Mapping[str, bytes]) -> Iterator[Block]:
    """A table of the worst pictures, and the worst themselves."""
    tallies = scored.tallies
    if tallies is not None and len(tallies.pictures) > 1:
        kinds, each = tallies.kinds[:COLUMNS], tallies.each()
        chosen = worst_first(tallies)[:LISTED]
        rows = tuple(
            (tallies.pictures[i], *(k.text(v) for k, v in zip(kinds, each[i], strict=False)))
            for i in chosen
        )
        head = ("picture", *(f"{k.title}, {k.told_in}".rstrip(", ") for k in kinds))
        rest = len(tallies.pictures) - len(chosen)
        more = f" {rest} more are in pictures.csv." if rest else ""
        yield Table(head, rows, f"none: not in the picture's truth.{more}")
    if "worst.png" in files:
        yield Figure(files["worst.png"], ALTS["worst.png"], wide=True)
    shown = [name for name in FILES if name in files]
    if shown and isinstance(scored.result, ClassExamination):
        yield legend_of(scored.model.task)
    for name, index in zip(shown, scored.worst.indices(), strict=False):
        picture = scored.names[index]
        yield Figure(files[name], f"{picture}: picture, truth and prediction", picture, wide=True)
