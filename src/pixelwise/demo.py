"""What `pixelwise demo` does: train with and without attention, evaluate, draw the page.

Both networks see the same pictures in the same order, start from the same weights (attention
aside) and take the same number of steps.
"""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise import __version__, pictures
from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures
from pixelwise.devices import pick_device
from pixelwise.explanation.explain import explain
from pixelwise.metrics import Confusion, Scores
from pixelwise.networks.files import CONFIG, WEIGHTS
from pixelwise.networks.segmenter import Segmenter, load
from pixelwise.predict.evaluation import evaluate
from pixelwise.report import (
    Commands,
    Figure,
    Highlight,
    Report,
    Section,
    Settings,
    scores_table,
    write_report,
)
from pixelwise.settings import numbered_folder
from pixelwise.tasks.class_masks import ClassResult
from pixelwise.train.journal import STEPS, VALIDATION, read_rows
from pixelwise.train.loop import Watcher
from pixelwise.train.run import SETTINGS, train
from pixelwise.train.settings import TrainSettings

PLAIN = "without attention"
BACKBONE = "test_resnet"
SIZE = 160
PICTURES = {"train": 600, "val": 40, "test": 80}
SHOWN = 6
"""Pictures on the page."""
DECIDED = ("road", "water", "car", "boat")
"""Classes that only the far surroundings tell apart."""


@dataclass(frozen=True)
class Shown:
    """What came out."""

    folder: Path
    names: tuple[str, ...]
    scores: dict[str, Scores]
    learnt: str


@dataclass(frozen=True)
class Trained:
    """One network of the two, evaluated on test."""

    run: Path
    model: Segmenter
    confusion: Confusion
    predictions: dict[int, Tensor]
    seconds: float


def run_demo(settings: Any, watcher: Watcher) -> Shown:
    """Train both networks and write the folder `runs/demo/<n>`.

    Args:
        settings: `attention`, `steps`, `seed`, `device`, `runs`.
        watcher: Told what happens.
    """
    folder = numbered_folder(Path(settings.runs) / "demo")
    data = f"scenes:seed={settings.seed},size={SIZE}" + "".join(
        f",{split}={count}" for split, count in PICTURES.items()
    )
    test = open_data(data).split("test")
    assert isinstance(test, LabelledPictures)
    layer = settings.attention.partition("@")[0]
    named = {f"with {layer}": settings.attention, PLAIN: "none"}
    base = TrainSettings(
        data=data,
        model="fcn",
        backbone=BACKBONE,
        output_stride=8,
        steps=settings.steps,
        batch_size=8,
        lr=3e-3,
        crop=str(SIZE),
        scale_min=1.0,
        scale_max=1.0,
        flip_vertical=True,
        rotate=True,
        class_weights="auto",
        validations=4,
        workers=0,
        check_data=False,
        seed=settings.seed,
        device=settings.device,
        runs=str(folder),
    )
    trained: dict[str, Trained] = {}
    for label, attention in named.items():
        watcher.say(f"\n{label}: {settings.steps} steps")
        chosen = dataclasses.replace(base, attention=attention, name=label.replace(" ", "_"))
        trained[label] = _train(chosen, test, watcher)
    _write(folder, trained, test, base)
    scores = {label: one.confusion.scores() for label, one in trained.items()}
    learnt = _learnt(scores, test.classes.names)
    write_report(folder, _report(trained, scores, test, base, learnt, folder))
    return Shown(folder, test.classes.names, scores, learnt)


def _train(settings: TrainSettings, test: LabelledPictures, watcher: Watcher) -> Trained:
    finished = train(settings, watcher, command="training")
    assert finished is not None  # only a resumed run can be finished already
    model = load(finished.run)
    predictions: dict[int, Tensor] = {}

    def keep(index: int, predicted: Tensor, _: Tensor) -> None:
        watcher.busy("testing", index + 1, len(test))
        predictions[index] = predicted

    device = pick_device(settings.device)
    config = model.config
    result = evaluate(
        model.to(device),
        EvaluationSet(test, mean=config.mean, std=config.std, scale=config.scale),
        window=settings.window,
        device=device,
        on_picture=keep,
    )
    assert isinstance(result, ClassResult)
    return Trained(finished.run, model.cpu(), result.confusion, predictions, finished.seconds)


def _write(
    folder: Path, trained: dict[str, Trained], test: LabelledPictures, settings: TrainSettings
) -> None:
    """The attention network's weights, its predictions as pictures, and all numbers."""
    best = next(iter(trained.values()))
    for name in (WEIGHTS, CONFIG, SETTINGS):
        shutil.copy(best.run / name, folder / name)
    classes = test.classes
    for index in range(SHOWN):
        image = pictures.displayable(test[index].image)
        mask = best.predictions[index].numpy()
        pictures.write_bytes(folder / "scenes" / f"scene_{index}.png", pictures.png(image))
        painted = pictures.overlay(image, mask, classes.palette)
        path = folder / "predictions" / f"scene_{index}_overlay.png"
        pictures.write_bytes(path, pictures.png(painted))
        mask_path = folder / "predictions" / f"scene_{index}.png"
        pictures.write_index_png(mask_path, mask, classes.palette)
    numbers = {
        label: {
            "miou": (scores := one.confusion.scores()).miou,
            "accuracy": scores.accuracy,
            "iou": dict(zip(classes.names, scores.iou, strict=True)),
            "seconds": round(one.seconds, 1),
            "parameters": sum(p.numel() for p in one.model.parameters()),
        }
        for label, one in trained.items()
    }
    text = json.dumps({"seed": settings.seed, "steps": settings.steps, "test": numbers}, indent=2)
    pictures.write_bytes(folder / "metrics.json", f"{text}\n".encode())


def _decided(scores: Scores, names: tuple[str, ...]) -> float:
    found = [iou for name, iou in zip(names, scores.iou, strict=True) if name in DECIDED and iou]
    return sum(found) / len(DECIDED)


def _learnt(scores: dict[str, Scores], names: tuple[str, ...]) -> str:
    attended, plain = scores.values()
    gain = 100 * (_decided(attended, names) - _decided(plain, names))
    what = "road, water, car and boat, which only the far surroundings tell apart"
    if gain > 0:
        return f"Attention adds {gain:.1f} points of IoU on {what}."
    return f"Attention did not help here: {gain:.1f} points of IoU on {what}."


def _report(
    trained: dict[str, Trained],
    scores: dict[str, Scores],
    test: LabelledPictures,
    settings: TrainSettings,
    learnt: str,
    folder: Path,
) -> Report:
    classes = test.classes
    (label, best), (_, plain) = trained.items()
    attended, bare = scores.values()
    runs = {n: read_rows(t.run / STEPS) + read_rows(t.run / VALIDATION) for n, t in trained.items()}
    more = sum(p.numel() for p in best.model.parameters()) / sum(
        p.numel() for p in plain.model.parameters()
    )
    return Report(
        title="What attention adds on made-up scenes",
        summary=(
            f"Two networks were trained for {settings.steps} steps on the same pictures in the same"
            " order, one with attention. In these scenes a car and a boat look alike, and so do a"
            " road and a canal; whether the dark ways end in a harbour or in a car park tells them"
            f" apart. {learnt} This is one run of each: a small difference can be chance."
        ),
        highlights=(
            Highlight(f"mean IoU {label}", f"{100 * attended.miou:.1f} %", "of the union, on test"),
            Highlight(f"mean IoU {PLAIN}", f"{100 * bare.miou:.1f} %", "same pictures"),
            Highlight(
                "road, water, car, boat",
                f"{100 * (_decided(attended, classes.names) - _decided(bare, classes.names)):+.1f}",
                "points of IoU, mean of the four",
            ),
            Highlight("parameters", f"{100 * (more - 1):+.1f} %", "for the attention"),
        ),
        sections=(
            Section("Result per class", "", (scores_table(scores, classes.names),)),
            Section(
                "Pictures",
                "Test scenes: the truth, and what each network says.",
                tuple(_sample(index, trained, test) for index in range(SHOWN)),
            ),
            Section("Where the network looks", LOOKING, _maps(best.model, test)),
            Section(
                "Training",
                "Loss and learning rate at each step; mean IoU on the validation scenes.",
                (Figure(pictures.curves(runs), alt="Training curves of both networks", wide=True),),
            ),
            Section(
                "What is taken for what",
                "Each row shows where the pixels of one true class went, in percent of the row.",
                tuple(
                    Figure(
                        pictures.confusion_matrix(one.confusion.matrix.numpy(), classes.names),
                        alt=f"Confusion matrix {name}",
                        caption=name,
                    )
                    for name, one in trained.items()
                ),
            ),
            Section("What was run", "", (_facts(trained, settings),)),
            Section(
                "What to type next",
                "",
                (
                    Commands(
                        {
                            f"pixelwise predict {folder} {folder}/scenes": "masks and overlays",
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


LOOKING = """Polarized self-attention has no map per pixel: it weighs all pixels once for the whole
picture. Each map shows the gate that a layer puts on every pixel of the first scene; the cross
marks a vehicle for orientation. The bright parts are passed on with more strength."""


def _sample(index: int, trained: dict[str, Trained], test: LabelledPictures) -> Figure:
    sample, classes = test[index], test.classes
    sheet = pictures.comparison(
        pictures.displayable(sample.image),
        sample.mask.numpy(),
        {label: one.predictions[index].numpy() for label, one in trained.items()},
        classes.names,
        classes.palette,
        ignore_index=classes.ignore_index,
    )
    return Figure(
        pictures.png(sheet),
        alt=f"Test scene {index}: picture, truth, and the prediction of both networks",
        wide=True,
    )


def _maps(model: Segmenter, test: LabelledPictures) -> tuple[Figure, ...]:
    sample, config = test[0], model.config
    inputs = EvaluationSet(test, mean=config.mean, std=config.std, scale=config.scale)
    vehicle = (sample.mask >= test.classes.names.index("car")).nonzero()
    at = tuple(int(i) for i in vehicle[len(vehicle) // 2])
    image = pictures.displayable(sample.image)
    found = explain(model, inputs[0][0], (at[0], at[1]), rollout=False, deletion=False)
    return tuple(
        Figure(
            pictures.map_overlay(image, maps.spatial.numpy(), (at[0], at[1])),
            alt=f"Map of {maps.name} over the first test scene",
            caption=maps.name,
        )
        for maps in found.maps
        if maps.spatial is not None
    )


def _facts(trained: dict[str, Trained], settings: TrainSettings) -> Settings:
    values = {
        "network": f"{settings.model} on {settings.backbone}, output stride 8",
        "scenes": ", ".join(f"{count} {split}" for split, count in PICTURES.items())
        + f", {SIZE}x{SIZE} pixels, seed {settings.seed}",
        "training": f"{settings.steps} steps of {settings.batch_size} scenes, {settings.recipe},"
        f" peak learning rate {settings.peak_lr:g}, rare classes weigh more",
    }
    for label, one in trained.items():
        count = sum(p.numel() for p in one.model.parameters())
        values[label] = f"{count:,} parameters, {one.seconds:.0f} s of training and validation"
    return Settings(values)
