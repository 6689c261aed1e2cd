import csv
import json
import shutil
from pathlib import Path

from pixelwise.compare.arms import Arm
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.data.opening import open_data
from pixelwise.networks.segmenter import load
from pixelwise.predict.evaluation import evaluate
from pixelwise.train.settings import TrainSettings


def outcome_of(run: Path, arm: Arm, seed: int, recipe: TrainSettings, split: str) -> Outcome:
    model = load(run / "last")
    pictures = open_data(recipe.data).split(split)
    items = model.task.evaluation_set(
        pictures, mean=model.config.mean, std=model.config.std, scale=model.config.scale
    )
    result = evaluate(
        model, items, window=1024, scorer=model.task.examiner() or model.task.scorer_for(items)
    )
    t = result.tallies()
    s = json.loads((run / "metrics.json").read_text())
    rows = list(csv.DictReader((run / "validation.csv").open()))
    return Outcome(
        arm.name,
        seed,
        Scores.of(t),
        None,
        t.pictures,
        tuple((int(r["step"]), float(r["miou"])) for r in rows),
        s["steps"],
        s["seconds"],
        recipe.peak_lr,
    )


def slim(run: Path) -> None:
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
