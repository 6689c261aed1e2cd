"""The page of one network's evaluation."""

from collections.abc import Iterator, Mapping

import torch

from pixelwise import __version__
from pixelwise.data.source import Source
from pixelwise.evaluating.class_sections import class_sections, legend_of
from pixelwise.evaluating.request import Request
from pixelwise.evaluating.scoring import Scored
from pixelwise.evaluating.writing import worst_first
from pixelwise.language import mark, spoken, translate
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
INTERVALS = mark(
    "95 % intervals by a bootstrap over pictures: they tell how far the scores depend on which"
    " pictures were evaluated, not how far another training would lead elsewhere."
)
ALTS = {
    "confusion.png": mark("Confusion matrix"),
    "thresholds.png": mark("Scores over the threshold"),
    "bias.png": mark("Mean error by range of true values"),
    "errors.png": mark("Share of points within a distance"),
    "histogram.png": mark("How errors are spread"),
    "worst.png": mark("The figures with the largest errors"),
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
            sections.append(Section(translate("Scores"), "", (scores_table(tallies),)))
        charts = tuple(
            Figure(
                content, translate(ALTS[name]) if name in ALTS else name, name.removesuffix(".png")
            )
            for name, content in files.items()
            if name.endswith(".png") and name not in (*FILES, "worst.png")
        )
        if charts:
            sections.append(Section(translate("Charts"), "", charts))
    worst = tuple(_worst(scored, files))
    if worst:
        sections.append(Section(translate("Pictures, the worst first"), "", worst))
    sections.append(Section(translate("What was run"), "", (facts(scored, request, source),)))
    run = scored.run
    after = {f"pixelwise predict {run} PICTURES": translate("predictions for other pictures")}
    if request.average is not None:
        after = {
            f"pixelwise predict {request.out} PICTURES": translate("with the averaged network")
        }
    after[f"pixelwise evaluate {run} ANOTHER"] = translate("this network beside another one")
    sections.append(Section(translate("What to type next"), "", (Commands(after),)))
    return Report(
        translate("Evaluation of {run}").format(run=run),
        translate("{names} pictures of {split} of {name}.").format(
            names=len(scored.names), split=request.split, name=source.name
        ),
        tuple(_highlights(scored)),
        tuple(sections),
        footer(),
    )


def footer() -> str:
    """Where the numbers come from."""
    return translate("pixelwise {version}, PyTorch {version2}. This page is one file.").format(
        version=__version__, version2=torch.__version__
    )


def scores_table(tallies: Tallies) -> Table:
    """Each score with its interval."""
    rows = tuple(
        (
            spoken(kind.title),
            f"{kind.text(value)} {kind.told_in}".rstrip(),
            kind.interval(ends) or "-",
        )
        for kind, value, ends in zip(
            tallies.kinds, tallies.scores(), tallies.intervals(), strict=True
        )
    )
    return Table(
        (translate("score"), translate("value"), translate("95 % interval")),
        rows,
        translate(INTERVALS),
    )


def facts(scored: Scored, request: Request, source: Source) -> Settings:
    """What was evaluated on what."""
    config = scored.model.config
    values = {
        translate("network"): translate("{arch} on {backbone}").format(
            arch=config.arch, backbone=config.backbone
        ),
        translate("data"): f"{source.name}, {request.split}",
        translate("tiles"): translate(
            "pictures beyond {window} pixels, overlap {overlap:g}"
        ).format(window=request.window, overlap=request.overlap),
    }
    return Settings({**values, **dict(_options(scored, request))})


def _options(scored: Scored, request: Request) -> Iterator[tuple[str, str]]:
    if not request.views.single:
        mirrored = translate(", each mirrored too") if request.views.flip else ""
        yield translate("scales"), ", ".join(f"{s:g}" for s in request.views.scales) + mirrored
    if request.average is not None:
        yield (
            translate("weights"),
            translate("mean of the {average} newest checkpoints, batch norms measured anew").format(
                average=request.average
            ),
        )
    if "threshold" in scored.model.config.task_options:
        yield translate("threshold"), f"{scored.model.config.task_options['threshold']:g}"
    if scored.holed:
        yield (
            translate("pixels without data"),
            translate("{amount:,}, which do not count").format(
                amount=sum(n for _, n in scored.holed)
            ),
        )


def _highlights(scored: Scored) -> Iterator[Highlight]:
    tallies = scored.tallies
    if tallies is None:
        for name, value in list(scored.result.numbers().items())[:MAIN]:
            yield Highlight(name, translate("none") if value is None else f"{value:.4g}")
        return
    each = zip(tallies.kinds, tallies.scores(), tallies.intervals(), strict=True)
    number = 2 if isinstance(scored.result, ClassExamination) else MAIN
    for kind, value, ends in list(each)[:number]:
        note = (
            translate("95 % interval {interval}").format(interval=kind.interval(ends))
            if ends
            else translate("no interval from one picture")
        )
        yield Highlight(spoken(kind.title), f"{kind.text(value)} {kind.told_in}".rstrip(), note)
    if isinstance(scored.result, ClassExamination):
        error = scored.result.calibration_error
        if error is not None:
            yield Highlight(
                translate("calibration error"), f"{100 * error:.2f} %", translate("ECE, 15 bins")
            )
    yield Highlight(translate("pictures"), f"{len(tallies.pictures)}", translate("evaluated"))


def _worst(scored: Scored, files: Mapping[str, bytes]) -> Iterator[Block]:
    """A table of the worst pictures, and the worst themselves."""
    tallies = scored.tallies
    if tallies is not None and len(tallies.pictures) > 1:
        kinds, each = tallies.kinds[:COLUMNS], tallies.each()
        chosen = worst_first(tallies)[:LISTED]
        rows = tuple(
            (
                tallies.pictures[i],
                *(translate(k.text(v)) for k, v in zip(kinds, each[i], strict=False)),
            )
            for i in chosen
        )
        head = (
            translate("picture"),
            *(f"{spoken(k.title)}, {k.told_in}".rstrip(", ") for k in kinds),
        )
        rest = len(tallies.pictures) - len(chosen)
        more = translate(" {rest} more are in pictures.csv.").format(rest=rest) if rest else ""
        yield Table(
            head, rows, translate("none: not in the picture's truth.{more}").format(more=more)
        )
    if "worst.png" in files:
        yield Figure(files["worst.png"], translate(ALTS["worst.png"]), wide=True)
    shown = [name for name in FILES if name in files]
    if shown and isinstance(scored.result, ClassExamination):
        yield legend_of(scored.model.task)
    for name, index in zip(shown, scored.worst.indices(), strict=False):
        picture = scored.names[index]
        yield Figure(
            files[name],
            translate("{picture}: picture, truth and prediction").format(picture=picture),
            picture,
            wide=True,
        )
