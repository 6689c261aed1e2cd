"""The folder that is uploaded: the network, its card, its scores, and pictures of its answers."""

import json
from pathlib import Path
from typing import Any

from torch import nn

from pixelwise import pictures
from pixelwise.networks import files
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.publishing.card import Stated, card
from pixelwise.networks.publishing.licences import check_licence
from pixelwise.networks.publishing.measured import measured

CARD, SCORES = "README.md", "metrics.json"
MOST_SAMPLES = 3
DRAWN = (("confusion.png", "truth and prediction of all pixels"), ("curves.png", "training"))
NAMES = (
    *(files.CONFIG, files.WEIGHTS, CARD, SCORES, *(name for name, _ in DRAWN)),
    *(f"sample_{number}.png" for number in range(1, MOST_SAMPLES + 1)),
)
"""All files that there may be."""


def write_folder(
    model: nn.Module,
    config: ModelConfig,
    folder: Path,
    *,
    name: str,
    run: Path | None = None,
    licence: str | None = None,
    samples: bool = True,
) -> list[str]:
    """Write it; the names of its files.

    Args:
        model: The network.
        config: Its description.
        folder: Where to.
        name: OWNER/NAME on the Hub.
        run: Folder of the run that it is from, for data, recipe, scores and pictures.
        licence: As the Hub names it.
        samples: Whether pictures of the data set, with truth and answer, go along.
    """
    check_licence(licence)
    found = measured(run)
    shown: dict[str, str] = {}
    for source, target, what in _pictures(run, samples):
        pictures.write_bytes(folder / target, source.read_bytes())
        shown[target] = what
    files.write(folder, config, model.state_dict())
    if found.scores:
        about: dict[str, Any] = {"data": found.evaluated, "split": found.split, **found.scores}
        pictures.write_bytes(folder / SCORES, (json.dumps(about, indent=2) + "\n").encode())
    text = card(model, config, found, Stated(name, licence, shown))
    pictures.write_bytes(folder / CARD, text.encode())
    there = [*shown, CARD, files.CONFIG, files.WEIGHTS, *([SCORES] if found.scores else [])]
    for left in {*NAMES} - {*there}:  # of an earlier time
        (folder / left).unlink(missing_ok=True)
    return there


def _pictures(run: Path | None, samples: bool) -> list[tuple[Path, str, str]]:
    """File, its name beside the card, and what it shows."""
    if run is None:
        return []
    chosen = sorted((run / "samples").glob("*.png"))[:MOST_SAMPLES] if samples else []
    told = [
        (file, f"sample_{number}.png", "picture, truth and answer")
        for number, file in enumerate(chosen, start=1)
    ]
    return told + [(run / n, n, what) for n, what in DRAWN if (run / n).is_file()]
