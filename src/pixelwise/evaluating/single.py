"""The evaluation of one network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pixelwise.data.opening import open_data
from pixelwise.data.source import Source
from pixelwise.errors import InputError
from pixelwise.evaluating.fitting import check_fit
from pixelwise.evaluating.request import AUTO, METRICS, PICTURES, REPORT, Request, Voice
from pixelwise.evaluating.scoring import Scored, inputs_of, score, tell_holes
from pixelwise.evaluating.single_page import single_page
from pixelwise.evaluating.writing import as_json, picture_table, write
from pixelwise.export.opening import open_model
from pixelwise.language import spoken, translate
from pixelwise.networks.files import CONFIG, WEIGHTS
from pixelwise.networks.model import Model
from pixelwise.networks.segmenter import Segmenter
from pixelwise.outputs import check_before
from pixelwise.pictures import displayable
from pixelwise.predict.prepared import chosen
from pixelwise.predict.threshold import keep, with_threshold
from pixelwise.predict.worst import FILES
from pixelwise.report import render
from pixelwise.tasks.base import Items
from pixelwise.train.averaging import average_checkpoints

TOLD = 4
"""So many intervals are told in a line, the main ones."""


def evaluate_one(request: Request, voice: Voice) -> str:
    """Score a network, write everything into the request's folder, and return what to print.

    Raises:
        InputError: The network is not for the data, or an option not for the network.
    """
    (run,), out = request.runs, request.out
    assert out is not None
    model = open_model(run)
    task = model.task
    if request.threshold is not None and task.key != "binary":
        raise InputError(
            f"threshold={request.threshold!r}: is for task 'binary', {run} is for {task.key!r};"
            " leave it out"
        )
    request = replace(request, views=request.views.suited(task))
    task.examiner(boundary=request.boundary)  # raises where it is not for the task
    made = (WEIGHTS, CONFIG) if request.average is not None else ()
    names = (METRICS, REPORT, PICTURES, *task.result_files, *task.examiner_files, *FILES, *made)
    check_before(out, "evaluate", names)
    source = open_data(request.data)
    pictures = source.split(request.split)
    check_fit(model, source, run)
    if request.average is not None:
        model = _averaged(request, voice)
    config = model.config
    voice.say(
        translate(
            "model   {arch} on {backbone}, {run}\n"
            "data    {name}: {pictures} pictures of {split}, {contents}, on {device}"
        ).format(
            arch=config.arch,
            backbone=config.backbone,
            run=run,
            name=source.name,
            pictures=len(pictures),
            split=request.split,
            contents=spoken(source.contents),
            device=request.device,
        )
    )
    form = chosen(request.precision, model, request.device)
    form.tell(voice.say)
    request = replace(request, precision=form.precision)
    inputs = inputs_of(model, pictures, request)
    _set_threshold(model, inputs, request, source, voice)
    scored = score(run, model, inputs, request, voice)
    tell_holes(scored, voice)
    about = request.about()
    if "threshold" in model.config.task_options:
        about["threshold"] = model.config.task_options["threshold"]
    shown = {
        **scored.result.picture_files(lambda i: displayable(pictures[i].image)),
        **scored.worst.files(pictures, task),
    }
    summary = about | dict(scored.result.summary())
    files = {**scored.result.files(), **shown}
    tallies = scored.tallies
    if tallies is not None and "miou_interval" not in summary:
        named = zip(tallies.kinds, tallies.intervals(), strict=True)
        summary["intervals"] = {kind.name: ends for kind, ends in named}
    if tallies is not None and PICTURES not in files:
        files[PICTURES] = picture_table(tallies)
    page = single_page(scored, request, source, files)
    files = {METRICS: as_json(summary), **files, REPORT: render(page).encode()}
    if request.average is None:
        write(out, files)
    else:
        model.config = config
        assert isinstance(model, Segmenter)
        write(out, files, (WEIGHTS, CONFIG), model.cpu().save_pretrained)
    return "\n".join(_lines(scored, request, out))


def _averaged(request: Request, voice: Voice) -> Segmenter:
    assert request.average is not None
    model = average_checkpoints(
        request.runs[0],
        request.average,
        data=request.data,
        device=request.device,
        progress=lambda done, total: voice.busy("measuring norms", done, total),
    )
    voice.say(
        translate(
            "average {average} checkpoints of {request}; statistics of batch norms"
            " are measured anew on training crops"
        ).format(average=request.average, request=request.runs[0])
    )
    return model


def _set_threshold(
    model: Model, inputs: Items, request: Request, source: Source, voice: Voice
) -> None:
    threshold: Any = request.threshold
    if threshold == AUTO:
        run = Path(request.runs[0])
        found: Any = score(request.runs[0], model, inputs, request, voice).result
        threshold = found.best_threshold
        if threshold is None:
            raise InputError(
                f"threshold='auto': no pixel of {source.classes.names[1]} in val of {source.name};"
                " give a number"
            )
        keep(run, with_threshold(model.config, threshold))
        voice.say(
            translate("threshold {threshold:g}, kept in {run}").format(threshold=threshold, run=run)
        )
    if threshold is not None:
        model.config = with_threshold(model.config, threshold)


def _lines(scored: Scored, request: Request, out: Path) -> list[str]:
    """The table, and where everything is."""
    lines, tallies = [scored.result.table()], scored.tallies
    if tallies is not None and "miou_interval" not in scored.result.summary():
        pairs = list(zip(tallies.kinds, tallies.intervals(), strict=True))[:TOLD]
        told = [f"{spoken(k.title)} {k.interval(e)} {k.told_in}".rstrip() for k, e in pairs if e]
        if told:
            count = translate("{pictures} pictures").format(pictures=len(tallies.pictures))
            lines.append(
                translate("95 % intervals over {count}: {told}").format(
                    count=count, told=", ".join(told)
                )
            )
    if tallies is not None and int((tallies.counted > 0).sum()) == 1:
        lines.append(translate("one picture: there are no intervals"))
    lines.append(translate("numbers and pictures: {out}").format(out=out))
    lines.append(translate("page: {out}").format(out=out / REPORT))
    if request.average is not None:
        lines.append(translate("the averaged network: {out}").format(out=out))
    return lines
