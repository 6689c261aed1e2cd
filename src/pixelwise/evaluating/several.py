"""The evaluation of several networks on the same pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pixelwise import pictures
from pixelwise.data.opening import open_data
from pixelwise.data.source import Split
from pixelwise.errors import InputError
from pixelwise.evaluating.comparing import LETTERS, SHOWN, Compared, aligned
from pixelwise.evaluating.fitting import check_fit
from pixelwise.evaluating.request import METRICS, PICTURES, REPORT, Request, Voice
from pixelwise.evaluating.scoring import answers_of, inputs_of, score, tell_holes
from pixelwise.evaluating.several_page import several_page
from pixelwise.evaluating.writing import as_json, write
from pixelwise.export.opening import open_model
from pixelwise.language import mark, spoken, translate
from pixelwise.outputs import check_before
from pixelwise.predict.prepared import chosen
from pixelwise.predict.threshold import with_threshold
from pixelwise.report import render
from pixelwise.settings import numbered_folder

SCORES = "differences.csv"
FILES = tuple(f"differs_{i}.png" for i in range(1, SHOWN + 1))
NO_TALLIES = mark(
    "task {task!r} has no scores of single pictures, so differences have no intervals"
)


def check_runs(request: Request) -> None:
    """Raise an InputError for too many networks, one twice, or options that are for one alone."""
    if len(request.runs) > len(LETTERS):
        raise InputError(
            f"run: {len(request.runs)} networks are too many; compare at most {len(LETTERS)}"
        )
    places = [Path(run).resolve() if Path(run).exists() else run for run in request.runs]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise InputError(
                f"{request.runs[number]}: is given twice, and does not differ from itself; name"
                " another run"
            )
    if request.average is not None:
        raise InputError(
            f"average={request.average}: is for one run; average it first, then compare the folder"
            " of that evaluation"
        )
    if isinstance(request.threshold, str):
        raise InputError("threshold='auto': is for one run; choose it for each before")


def evaluate_several(request: Request, voice: Voice) -> str:
    """Score all networks, compare them, write the request's folder, and return what to print.

    Raises:
        InputError: A network is not for the data, or not of the kind of the first one.
    """
    if request.out is not None:
        check_before(request.out, "evaluate", (METRICS, REPORT, PICTURES, SCORES, *FILES))
    models = [open_model(run) for run in request.runs]
    source = open_data(request.data)
    split = source.split(request.split)
    for run, model in zip(request.runs, models, strict=True):
        if model.task.data != models[0].task.data:
            raise InputError(
                f"{run}: is for task {model.task.key!r}, but {request.runs[0]} for"
                f" {models[0].task.key!r}; compare networks for the same"
            )
        check_fit(model, source, run)
        request = replace(request, views=request.views.suited(model.task))
        model.task.examiner(boundary=request.boundary)  # raises where it is not for the task
        if request.threshold is not None and model.task.key != "binary":
            raise InputError(
                f"threshold={request.threshold}: is for task 'binary', {run} is for"
                f" {model.task.key!r}; leave it out"
            )
        if isinstance(request.threshold, float):
            model.config = with_threshold(model.config, request.threshold)
    voice.say(
        translate("data    {name}: {split} pictures of {split2}, {contents}, on {device}").format(
            name=source.name,
            split=len(split),
            split2=request.split,
            contents=spoken(source.contents),
            device=request.device,
        )
    )
    each = []
    for letter, run, model in zip(LETTERS, request.runs, models, strict=False):
        voice.say(
            letter
            + translate("       {arch} on {backbone}, {run}").format(
                arch=model.config.arch, backbone=model.config.backbone, run=run
            )
        )
        chosen(request.precision, model, request.device).tell(voice.say)
        each.append(score(run, model, inputs_of(model, split, request), request, voice))
        model.cpu()
    tell_holes(each[0], voice)
    compared = Compared.of(each)
    shown = _pictures(compared, request, split) if compared.tallies else {}
    files = {
        METRICS: as_json(_summary(compared, request)),
        **shown,
        REPORT: render(several_page(compared, request, source, shown)).encode(),
    }
    if compared.tallies:
        files |= {PICTURES: compared.picture_table(), SCORES: compared.score_table()}
    out = request.out or numbered_folder(Path("runs") / "evaluate")
    write(out, files)
    return "\n".join(_lines(compared, out))


def _pictures(compared: Compared, request: Request, split: Split) -> dict[str, bytes]:
    """What the networks say of the pictures where they differ most."""
    letters = list(compared.networks)
    first = compared.networks[letters[0]]
    items = [first.item(row) for row in compared.chosen()]
    answers = {letter: answers_of(one, items, request) for letter, one in compared.networks.items()}
    task, found = first.model.task, {}
    for file, item in zip(FILES, items, strict=False):
        _, target = answers[letters[0]][item]
        said = {letter: answers[letter][item][0] for letter in letters}
        image = pictures.displayable(split[item].image)
        found[file] = pictures.png(task.compared(image, target, said))
    return found


def _summary(compared: Compared, request: Request) -> dict[str, Any]:
    about = request.about()
    if request.threshold is not None:
        about["threshold"] = request.threshold
    return {
        **about,
        "runs": {letter: one.run for letter, one in compared.networks.items()},
        "scores": {letter: one.result.summary() for letter, one in compared.networks.items()},
        "differences": {
            letter: {
                one.kind.name: {
                    "first": one.first,
                    "second": one.second,
                    "difference": one.value,
                    "interval": one.interval,
                }
                for one in found
            }
            for letter, found in compared.found.items()
        },
    }


def _lines(compared: Compared, out: Path) -> list[str]:
    lines = [f"{letter} {one.run}" for letter, one in compared.networks.items()]
    if compared.tallies:
        lines.append(aligned(compared.rows()))
        if any(one.clear for found in compared.found.values() for one in found):
            lines.append(translate("* the interval does not hold 0"))
        lines += compared.verdicts()
        lines += _named(compared)
    else:
        lines.append(aligned(compared.plain_rows()))
        task = next(iter(compared.networks.values())).model.task.key
        lines.append(translate(NO_TALLIES).format(task=task))
    return [
        *lines,
        translate("numbers and pictures: {out}").format(out=out),
        translate("page: {out}").format(out=out / REPORT),
    ]


def _named(compared: Compared) -> list[str]:
    """The pictures that differ most, by name."""
    kind, names, lines = compared.tallies[0].kinds[0], compared.tallies[0].pictures, []
    unit = f", {translate(kind.apart_in)}" if kind.apart_in else ""
    for letter in compared.found:
        order = compared.by_picture(letter)
        for what, some in ((mark("better"), order[::-1]), (mark("worse"), order)):
            sign = 1 if what == "better" else -1
            chosen = [(gain, row) for gain, row in some[:3] if sign * gain > 0]
            if chosen:
                told = ", ".join(f"{names[row]} {kind.text(sign * gain)}" for gain, row in chosen)
                lines.append(
                    translate("{letter} most {what} by {title}{unit}: {told}").format(
                        letter=letter,
                        what=translate(what),
                        title=spoken(kind.title),
                        unit=unit,
                        told=told,
                    )
                )
    return lines
