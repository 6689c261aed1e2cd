"""The page of the demonstration."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from pixelwise import __version__, pictures
from pixelwise.data.source import Split
from pixelwise.demo.trained import PLAIN, Trained, difference
from pixelwise.explanation.explain import explain
from pixelwise.language import spoken, translate
from pixelwise.report import (
    Commands,
    Figure,
    Highlight,
    Report,
    Section,
    Settings,
    measures_table,
)
from pixelwise.tasks.demonstration import Demonstration
from pixelwise.train.journal import STEPS, VALIDATION, read_rows
from pixelwise.train.settings import TrainSettings


def page(
    trained: Mapping[str, Trained],
    test: Split,
    settings: TrainSettings,
    shows: Demonstration,
    learnt: str,
    shown_files: Path,
) -> Report:
    """All that is to be seen.

    Args:
        trained: Two networks by name, the first with attention.
        test: The pictures that they were evaluated on.
        settings: Of both.
        shows: What the task says of itself.
        learnt: What the numbers say, in a sentence.
        shown_files: Folder of the pictures on the page.
    """
    runs = {n: read_rows(t.run / STEPS) + read_rows(t.run / VALIDATION) for n, t in trained.items()}
    shows = shows.translated()
    folder, noun = shown_files.parent, shows.noun
    return Report(
        title=shows.title,
        summary=(
            translate(
                "Two networks were trained for {steps} steps on the same pictures in the same"
                " order, one with attention. {story} {learnt} This is one run of each: a small"
                " difference can be chance."
            ).format(steps=settings.steps, story=shows.story, learnt=learnt)
        ),
        highlights=_highlights(trained, shows),
        sections=(
            Section(
                shows.results,
                "",
                (measures_table({label: one.measures for label, one in trained.items()}),),
            ),
            Section(
                translate("Pictures"),
                translate("Test {noun}s: the truth, and what each network says.").format(noun=noun),
                tuple(_samples(trained, test, noun)),
            ),
            Section(
                translate("Where the network looks"),
                shows.looking,
                tuple(_maps(next(iter(trained.values())), shows)),
            ),
            Section(
                translate("Training"),
                translate(
                    "Loss and learning rate at each step; {main_name} on the validation {noun}s."
                ).format(main_name=shows.main_name, noun=noun),
                (
                    Figure(
                        pictures.curves(runs),
                        alt=translate("Training curves of both networks"),
                        wide=True,
                    ),
                ),
            ),
            Section(shows.charts, shows.charts_text, tuple(_charts(trained, shows))),
            Section(translate("What was run"), "", (_facts(trained, settings, shows),)),
            Section(
                translate("What to type next"),
                "",
                (
                    Commands(
                        {
                            f"pixelwise predict {folder} {shown_files}": shows.writes,
                            "pixelwise layers": translate("all attention layers"),
                            "pixelwise train --data YOUR/data.yaml --attention psa_s": (
                                translate("a network for your own pictures")
                            ),
                        }
                    ),
                ),
            ),
        ),
        footer=translate("pixelwise {version}, PyTorch {version2}. This page is one file.").format(
            version=__version__, version2=torch.__version__
        ),
    )


def _highlights(trained: Mapping[str, Trained], shows: Demonstration) -> tuple[Highlight, ...]:
    first, second = (one.measures.value(shows.main) for one in trained.values())
    digits = next(iter(trained.values())).measures.digits
    label, best = next(iter(trained.items()))
    more = best.parameters / trained[PLAIN].parameters
    unit = shows.unit
    return (
        Highlight(f"{shows.main_name} {spoken(label)}", f"{first:.{digits}f} {unit}", shows.of),
        Highlight(
            f"{shows.main_name} {spoken(PLAIN)}",
            f"{second:.{digits}f} {unit}",
            translate("same pictures"),
        ),
        Highlight(shows.decides_name, f"{difference(trained, shows):+.1f}", shows.decides_of),
        Highlight(
            translate("parameters"), f"{100 * (more - 1):+.1f} %", translate("for the attention")
        ),
    )


def _samples(trained: Mapping[str, Trained], test: Split, noun: str) -> Iterator[Figure]:
    best = next(iter(trained.values()))
    for index, target in best.targets.items():
        answers = {label: one.answers[index] for label, one in trained.items()}
        image = pictures.displayable(test[index].image)
        yield Figure(
            pictures.png(best.model.task.compared(image, target, answers)),
            alt=translate(
                "Test {noun} {index}: the truth, and the prediction of both networks"
            ).format(noun=noun, index=index),
            wide=True,
        )


def _maps(best: Trained, shows: Demonstration) -> Iterator[Figure]:
    """Of the first picture, at a place that the network found."""
    image, _, name, _ = best.inputs[0]
    at = best.model.task.place(shows.marked, best.answers[0])
    middle = (image.shape[1] // 2, image.shape[2] // 2)
    names = best.model.config.names
    found = explain(
        best.model,
        image,
        at or middle,
        rollout=False,
        deletion=False,
        class_maps=shows.evidence is not None,
        class_index=None if shows.evidence is None else names.index(shows.evidence),
    )
    spatial = {maps.name: maps.spatial for maps in found.maps if maps.spatial is not None}
    evidence = {f"{one.class_name}: {one.method}": one.values for one in found.class_maps}
    for caption, values in {**spatial, **evidence}.items():
        yield Figure(
            pictures.map_overlay(found.picture, values.numpy(), at),
            alt=translate("Map of {caption} over {name}").format(caption=caption, name=name),
            caption=caption,
        )


def _charts(trained: Mapping[str, Trained], shows: Demonstration) -> Iterator[Figure]:
    for label, one in trained.items():
        for file, content in one.result.files().items():
            if file.endswith(".png"):
                yield Figure(content, alt=f"{shows.charts}, {spoken(label)}", caption=label)


def _facts(
    trained: Mapping[str, Trained], settings: TrainSettings, shows: Demonstration
) -> Settings:
    values = {
        translate("network"): translate("{model} on {backbone}, output stride 8").format(
            model=settings.model, backbone=settings.backbone
        ),
        translate("{noun}s").format(noun=shows.noun): ", ".join(
            f"{count} {split}" for split, count in shows.pictures.items()
        )
        + translate(", {size}x{size} pixels, seed {seed}").format(
            size=shows.size, seed=settings.seed
        ),
        translate("training"): translate(
            "{steps} steps of {per_batch} {noun}s, {recipe}, peak learning rate {peak_lr:g}{remark}"
        ).format(
            steps=settings.steps,
            per_batch=settings.per_batch,
            noun=shows.noun,
            recipe=settings.recipe,
            peak_lr=settings.peak_lr,
            remark=shows.remark,
        ),
    }
    for label, one in trained.items():
        values[spoken(label)] = translate(
            "{parameters:,} parameters, {seconds:.0f} s of training and validation"
        ).format(parameters=one.parameters, seconds=one.seconds)
    return Settings(values)
