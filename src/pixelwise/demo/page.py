"""The page of the demonstration."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from pixelwise import __version__, pictures
from pixelwise.data.source import Split
from pixelwise.demo.trained import PLAIN, Trained, difference
from pixelwise.explanation.explain import explain
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
    folder, noun = shown_files.parent, shows.noun
    return Report(
        title=shows.title,
        summary=(
            f"Two networks were trained for {settings.steps} steps on the same pictures in the same"
            f" order, one with attention. {shows.story} {learnt} This is one run of each: a small"
            " difference can be chance."
        ),
        highlights=_highlights(trained, shows),
        sections=(
            Section(
                shows.results,
                "",
                (measures_table({label: one.measures for label, one in trained.items()}),),
            ),
            Section(
                "Pictures",
                f"Test {noun}s: the truth, and what each network says.",
                tuple(_samples(trained, test, noun)),
            ),
            Section(
                "Where the network looks",
                shows.looking,
                tuple(_maps(next(iter(trained.values())), shows)),
            ),
            Section(
                "Training",
                f"Loss and learning rate at each step; {shows.main_name} on the validation"
                f" {noun}s.",
                (Figure(pictures.curves(runs), alt="Training curves of both networks", wide=True),),
            ),
            Section(shows.charts, shows.charts_text, tuple(_charts(trained, shows))),
            Section("What was run", "", (_facts(trained, settings, shows),)),
            Section(
                "What to type next",
                "",
                (
                    Commands(
                        {
                            f"pixelwise predict {folder} {shown_files}": shows.writes,
                            "pixelwise layers": "all attention layers",
                            "pixelwise train --data YOUR/data.yaml --attention psa_s": (
                                "a network for your own pictures"
                            ),
                        }
                    ),
                ),
            ),
        ),
        footer=f"pixelwise {__version__}, PyTorch {torch.__version__}. This page is one file.",
    )


def _highlights(trained: Mapping[str, Trained], shows: Demonstration) -> tuple[Highlight, ...]:
    first, second = (one.measures.value(shows.main) for one in trained.values())
    digits = next(iter(trained.values())).measures.digits
    label, best = next(iter(trained.items()))
    more = best.parameters / trained[PLAIN].parameters
    unit = shows.unit
    return (
        Highlight(f"{shows.main_name} {label}", f"{first:.{digits}f} {unit}", shows.of),
        Highlight(f"{shows.main_name} {PLAIN}", f"{second:.{digits}f} {unit}", "same pictures"),
        Highlight(shows.decides_name, f"{difference(trained, shows):+.1f}", shows.decides_of),
        Highlight("parameters", f"{100 * (more - 1):+.1f} %", "for the attention"),
    )


def _samples(trained: Mapping[str, Trained], test: Split, noun: str) -> Iterator[Figure]:
    best = next(iter(trained.values()))
    for index, target in best.targets.items():
        answers = {label: one.answers[index] for label, one in trained.items()}
        image = pictures.displayable(test[index].image)
        yield Figure(
            pictures.png(best.model.task.compared(image, target, answers)),
            alt=f"Test {noun} {index}: the truth, and the prediction of both networks",
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
            alt=f"Map of {caption} over {name}",
            caption=caption,
        )


def _charts(trained: Mapping[str, Trained], shows: Demonstration) -> Iterator[Figure]:
    for label, one in trained.items():
        for file, content in one.result.files().items():
            if file.endswith(".png"):
                yield Figure(content, alt=f"{shows.charts}, {label}", caption=label)


def _facts(
    trained: Mapping[str, Trained], settings: TrainSettings, shows: Demonstration
) -> Settings:
    values = {
        "network": f"{settings.model} on {settings.backbone}, output stride 8",
        f"{shows.noun}s": ", ".join(f"{count} {split}" for split, count in shows.pictures.items())
        + f", {shows.size}x{shows.size} pixels, seed {settings.seed}",
        "training": f"{settings.steps} steps of {settings.per_batch} {shows.noun}s,"
        f" {settings.recipe}, peak learning rate {settings.peak_lr:g}{shows.remark}",
    }
    for label, one in trained.items():
        values[label] = (
            f"{one.parameters:,} parameters, {one.seconds:.0f} s of training and validation"
        )
    return Settings(values)
