"""What `pixelwise probe` does: train what is missing, keep it, and write tables and pictures.

    runs/probe/NAME/  probe.json    settings and every training, written after each
                      probe.csv     accuracy by layer, variant and distance
                      reach.csv     a row for each layer
                      accuracy.png  fields.png  report.html

With the folder's name, or as `--resume`, a probe goes on where it was stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.notes import settled
from pixelwise.outputs import alone, refuse_used
from pixelwise.probe.asked import ProbeSettings
from pixelwise.probe.network import ProbeNetwork
from pixelwise.probe.reach import Curve
from pixelwise.probe.results import FILE, Results
from pixelwise.probe.seen import seen
from pixelwise.probe.subjects import Subject, spelt, subjects
from pixelwise.probe.training import train
from pixelwise.probe.variants import VARIANTS
from pixelwise.probe.writing import write
from pixelwise.settings import numbered_folder


@runtime_checkable
class Watcher(Protocol):
    """Who looks on."""

    def say(self, line: str) -> None:
        """One line of plain text."""

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything that takes time."""


@dataclass(frozen=True)
class Probe:
    """What is to be done, checked.

    Args:
        folder: Where results go.
        subjects: Layers and baselines, in the order of the work.
        results: What is done already.
    """

    folder: Path
    subjects: tuple[Subject, ...]
    results: Results


def prepared(layers: Sequence[str], settings: ProbeSettings, warn: Callable[[str], None]) -> Probe:
    """Look at everything that can be wrong, and make the folder.

    Args:
        layers: As they are typed.
        settings: Of the command.
        warn: Told which of `all` layers cannot be probed.

    Raises:
        InputError: A layer does not exist or cannot be probed, or the folder holds something else.
    """
    if not any(word.strip(" ,") for word in layers):
        raise InputError(
            "layers: none is named; write for example pixelwise probe psa_s pam isa, or all"
        )
    fitting = _fitting(layers, settings, warn)
    folder, results = _folder(spelt(layers), settings)
    return Probe(folder, fitting, results)


def resumed(folder: Path, layers: Sequence[str], warn: Callable[[str], None]) -> Probe:
    """Go on with a probe, with further layers if there are any.

    Raises:
        InputError: There is no probe, or it is damaged.
    """
    before = Results.load(folder)
    with settled():
        known = spelt(before.layers)
    every = tuple(dict.fromkeys((*known, *spelt(layers))))
    return Probe(folder, _fitting(every, before.settings, warn), replace(before, layers=every))


def _fitting(
    layers: Sequence[str], settings: ProbeSettings, warn: Callable[[str], None]
) -> tuple[Subject, ...]:
    """The layers, without those of `all` that cannot take such maps."""
    pick_device(settings.device)
    wanted = subjects(layers, baselines=settings.baselines)
    kept = []
    for subject in wanted:
        try:
            ProbeNetwork(subject, settings.channels, 2, settings.size)
        except InputError as error:
            if not subject.optional:
                raise
            warn(translate("left out: {error}").format(error=error))
        else:
            kept.append(subject)
    return tuple(kept)


def run_probe(probe: Probe, watcher: Watcher) -> list[Curve]:
    """Train what is missing, and write everything.

    Raises:
        InputError: Another process is at work there.
    """
    results, settings = probe.results, probe.results.settings
    device = pick_device(settings.device)
    with alone(probe.folder):
        total = sum(len(_missing(results, subject)) for subject in probe.subjects)
        done = 0
        for subject in probe.subjects:
            missing = _missing(results, subject)
            for variant, seed in missing:
                done += 1
                what = f"{subject.name} {variant} ({done} of {total})"
                progress = partial(_progress, watcher, what, settings.steps)
                trained = train(subject, VARIANTS[variant], settings, seed, device, progress)
                results.trained.append(trained)
                results.save(probe.folder)
            if subject.name not in results.fields:
                results.fields[subject.name] = seen(subject, settings)
                results.save(probe.folder)
            if missing:
                watcher.say(_line(results, subject.name))
        return write(results, probe.folder)


def _missing(results: Results, subject: Subject) -> list[tuple[str, int]]:
    """Variants and seeds that are not done yet."""
    return [
        (variant, seed)
        for variant in results.settings.asked
        for seed in range(results.settings.seeds)
        if not results.has(subject.name, variant, seed)
    ]


def _progress(watcher: Watcher, what: str, steps: int, step: int) -> None:
    watcher.busy(what, step, steps)


def _line(results: Results, subject: str) -> str:
    found = (results.curve(subject, variant) for variant in results.settings.asked)
    told = "  ".join(f"{one.variant} {one.text}" for one in found if one is not None)
    return f"{subject:20} {told}"


def _folder(layers: tuple[str, ...], settings: ProbeSettings) -> tuple[Path, Results]:
    parent = Path(settings.runs) / "probe"
    if settings.name is None:
        folder = numbered_folder(parent)
    else:
        folder = parent / settings.name
        if (folder / FILE).is_file():
            before = Results.load(folder)
            for name, value in before.settings.recipe.items():
                if value != settings.recipe[name]:
                    raise InputError(
                        f"{name}={settings.recipe[name]:g}: {folder} was made with {value:g}; take"
                        " that, or choose another --name"
                    )
            every = tuple(dict.fromkeys((*before.layers, *layers)))
            return folder, replace(before, settings=settings, layers=every)
        refuse_used(folder, "choose another --name")
        folder.mkdir(parents=True, exist_ok=True)
    results = Results(settings, layers)
    results.save(folder)
    return folder, results
