"""What `pixelwise demo` does: train with and without attention, evaluate, draw the page.

Both networks see the same pictures in the same order, start from the same weights (attention
aside) and take the same number of steps. What they learn, and what is said of it, is the task's.
"""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pixelwise import pictures
from pixelwise.data.opening import open_data
from pixelwise.data.source import Split
from pixelwise.demo.page import page
from pixelwise.demo.trained import PLAIN, Trained, gain
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.language import message, spoken, translate
from pixelwise.networks.config import as_text, attention_plan
from pixelwise.networks.files import CONFIG, WEIGHTS
from pixelwise.networks.segmenter import load
from pixelwise.predict.evaluation import evaluate
from pixelwise.report import write_report
from pixelwise.settings import numbered_folder
from pixelwise.tasks.demonstration import Demonstration
from pixelwise.tasks.measures import Measures
from pixelwise.tasks.registry import OWN, task_class
from pixelwise.train.run import SETTINGS, train
from pixelwise.train.settings import TrainSettings
from pixelwise.train.watching import Watcher

BACKBONE = "test_resnet"
SHOWN = 6
"""Pictures on the page."""


@dataclass(frozen=True)
class Shown:
    """What came out.

    Args:
        folder: Where it is.
        pictures: The folder of the pictures on the page.
        heading: Of the numbers.
        measures: Numbers on test, by the network.
        learnt: What they say, in a sentence.
    """

    folder: Path
    pictures: Path
    heading: str
    measures: dict[str, Measures]
    learnt: str


def run_demo(settings: Any, watcher: Watcher) -> Shown:
    """Train both networks and write the folder `runs/demo/<n>`.

    Args:
        settings: `task`, `attention`, `steps` (None: the task's), `seed`, `device`, `runs`.
        watcher: Told what happens.

    Raises:
        InputError: The task has nothing to show.
    """
    shows = _demonstration(settings.task)
    layer = as_text(attention_plan(settings.attention)).partition("@")[0]
    folder = numbered_folder(Path(settings.runs) / "demo")
    data = f"{shows.data}:seed={settings.seed},size={shows.size}" + "".join(
        f",{split}={count}" for split, count in shows.pictures.items()
    )
    test = open_data(data).split("test")
    named = {message("with {layer}", layer=layer): settings.attention, PLAIN: "none"}
    base = TrainSettings(
        data=data,
        task=settings.task,
        model="fcn",
        backbone=BACKBONE,
        output_stride=8,
        steps=shows.steps if settings.steps is None else settings.steps,
        batch_size=8,
        lr=3e-3,
        crop=str(shows.size),
        scale_min=1.0,
        scale_max=1.0,
        validations=4,
        workers=0,
        check_data=False,
        seed=settings.seed,
        device=settings.device,
        runs=str(folder),
    )
    base = dataclasses.replace(base, **shows.training)
    trained: dict[str, Trained] = {}
    for label, attention in named.items():
        watcher.say(
            translate("\n{label}: {steps} steps").format(label=spoken(label), steps=base.steps)
        )
        chosen = dataclasses.replace(base, attention=attention, name=label.replace(" ", "_"))
        trained[label] = _train(chosen, test, watcher)
    shown_files = _write(folder, trained, test, base, shows.noun)
    better = gain(trained, shows)
    learnt = translate(shows.helped if better > 0 else shows.not_helped).format(
        gain=better, loss=-better
    )
    write_report(folder, page(trained, test, base, shows, learnt, shown_files))
    measures = {label: one.measures for label, one in trained.items()}
    return Shown(folder, shown_files, translate(shows.heading), measures, learnt)


def _demonstration(name: str) -> Demonstration:
    found = task_class(name).demonstration
    if found is None:
        known = [own for own in OWN if task_class(own).demonstration is not None]
        raise InputError(
            f"task={name!r}: has no data set without files to show; take one of {', '.join(known)}"
        )
    return found


def _train(settings: TrainSettings, test: Split, watcher: Watcher) -> Trained:
    finished = train(settings, watcher, command="training")
    assert finished is not None  # only a resumed run can be finished already
    for line in finished.warnings:
        watcher.say(translate("warning: {line}").format(line=spoken(line)))
    model = load(finished.run)
    answers: dict[int, Tensor] = {}
    targets: dict[int, Tensor] = {}

    def keep(index: int, answer: Tensor, target: Tensor) -> None:
        watcher.busy("testing", index + 1, len(test))
        if index < SHOWN:
            answers[index], targets[index] = answer, target

    device = pick_device(settings.device)
    config = model.config
    inputs = model.task.evaluation_set(test, mean=config.mean, std=config.std, scale=config.scale)
    result = evaluate(
        model.to(device), inputs, window=settings.window, device=device, on_picture=keep
    )
    return Trained(finished.run, model.cpu(), result, inputs, answers, targets, finished.seconds)


def _write(
    folder: Path, trained: dict[str, Trained], test: Split, settings: TrainSettings, noun: str
) -> Path:
    """The attention network's weights, its predictions, and all numbers; where the pictures are."""
    best = next(iter(trained.values()))
    for name in (WEIGHTS, CONFIG, SETTINGS):
        shutil.copy(best.run / name, folder / name)
    task = best.model.task
    for index, answer in best.answers.items():
        image = pictures.displayable(test[index].image)
        path = folder / f"{noun}s" / f"{noun}_{index}.png"
        pictures.write_bytes(path, pictures.png(image))
        placed = task.placed(answer, test.size(index))
        task.write(folder / "predictions", path.stem, image, placed, None, path)
    numbers = {
        label: {
            **one.result.summary(),
            "seconds": round(one.seconds, 1),
            "parameters": one.parameters,
        }
        for label, one in trained.items()
    }
    text = json.dumps({"seed": settings.seed, "steps": settings.steps, "test": numbers}, indent=2)
    pictures.write_bytes(folder / "metrics.json", f"{text}\n".encode())
    return folder / f"{noun}s"
