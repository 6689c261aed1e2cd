"""What `pixelwise probe` does: train what is missing, keep it, and write tables and pictures.

    runs/probe/NAME/  probe.json    settings and every training, written after each
                      probe.csv     accuracy by layer, variant and distance
                      reach.csv     a row for each layer
                      accuracy.png  report.html

With the folder's name, or as `--resume`, a probe goes on where it was stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.outputs import alone, refuse_used
from pixelwise.pictures import write_bytes
from pixelwise.probe.asked import ProbeSettings
from pixelwise.probe.charts import accuracy_chart
from pixelwise.probe.network import ProbeNetwork
from pixelwise.probe.page import page
from pixelwise.probe.reach import Curve
from pixelwise.probe.results import FILE, Results, accuracy_rows, csv_bytes
from pixelwise.probe.subjects import ALL, Subject, subjects
from pixelwise.probe.training import train
from pixelwise.probe.variants import VARIANTS
from pixelwise.report import Figure, write_report
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
    pick_device(settings.device)
    wanted = subjects(layers, baselines=settings.baselines)
    if not wanted:
        raise InputError("layer: none is named; write for example pixelwise probe psa_s pam isa")
    typed = {subject.name for subject in subjects(_without_all(layers), baselines=False)}
    kept = []
    for subject in wanted:
        try:
            ProbeNetwork(subject, settings.channels, 2, settings.size)
        except InputError as error:
            if subject.name in typed:
                raise
            warn(f"left out: {error}")
        else:
            kept.append(subject)
    folder, results = _folder(tuple(layers), settings)
    return Probe(folder, tuple(kept), results)


def resumed(folder: Path, layers: Sequence[str], warn: Callable[[str], None]) -> Probe:
    """Go on with a probe, with further layers if there are any.

    Raises:
        InputError: There is no probe, or it is damaged.
    """
    results = Results.load(folder)
    both = tuple(dict.fromkeys((*results.layers, *layers)))
    settings = replace(results.settings, runs=str(folder.parent.parent), name=folder.name)
    if folder != Path(settings.runs) / "probe" / folder.name:
        raise InputError(
            f"resume={str(folder)!r}: must be a folder runs/probe/NAME; check the path"
        )
    return prepared(both, settings, warn)


def run_probe(probe: Probe, watcher: Watcher) -> list[Curve]:
    """Train what is missing, and write everything.

    Raises:
        InputError: Another process is at work there.
    """
    results, settings = probe.results, probe.results.settings
    device = pick_device(settings.device)
    with alone(probe.folder):
        work = list(_missing(probe))
        for number, (subject, variant, seed) in enumerate(work):
            what = f"{subject.name} {variant} ({number + 1} of {len(work)})"
            trained = train(
                subject,
                VARIANTS[variant],
                settings,
                seed,
                device,
                lambda step, what=what: watcher.busy(what, step, settings.steps),  # type: ignore[misc]
            )
            results.trained.append(trained)
            results.save(probe.folder)
            last = number + 1 == len(work) or work[number + 1][0] is not subject
            if last:
                watcher.say(_line(results, subject.name))
        return write(probe)


def write(probe: Probe) -> list[Curve]:
    """Tables, pictures and the page, of what is done."""
    results, folder = probe.results, probe.folder
    curves = [
        found
        for subject in results.subjects
        for variant in VARIANTS
        if (found := results.curve(subject, variant)) is not None
    ]
    if not curves:
        return []
    write_bytes(folder / "probe.csv", csv_bytes(accuracy_rows(results, tuple(VARIANTS))))
    write_bytes(folder / "reach.csv", csv_bytes(reach_rows(results, curves)))
    chart = accuracy_chart(curves)
    write_bytes(folder / "accuracy.png", chart)
    figures = [Figure(chart, "Accuracy against distance, by variant and layer", wide=True)]
    write_report(folder, page(results, curves, figures))
    return curves


def reach_rows(results: Results, curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """A row for each layer: reach and mean accuracy of each variant, parameters, seconds."""
    variants = list(dict.fromkeys(one.variant for one in curves))
    by_name = {(one.subject, one.variant): one for one in curves}
    rows = []
    for subject in results.subjects:
        own = [one for one in results.trained if one.subject == subject]
        row: dict[str, Any] = {"layer": subject}
        for variant in variants:
            found = by_name.get((subject, variant))
            row[variant] = None if found is None else found.reach
            row[f"{variant}_tested"] = None if found is None else found.points[-1].distance
            row[f"{variant}_accuracy"] = None if found is None else round(found.mean, 4)
        row["parameters"] = own[0].parameters
        row["seconds"] = round(sum(one.seconds for one in own), 1)
        rows.append(row)
    return rows


def _missing(probe: Probe) -> Iterator[tuple[Subject, str, int]]:
    for subject in probe.subjects:
        for variant in probe.results.settings.asked:
            for seed in range(probe.results.settings.seeds):
                if not probe.results.has(subject.name, variant, seed):
                    yield subject, variant, seed


def _line(results: Results, subject: str) -> str:
    found = (results.curve(subject, variant) for variant in results.settings.asked)
    told = "  ".join(f"{one.variant} {one.text}" for one in found if one is not None)
    return f"{subject:20} {told}"


def _without_all(layers: Sequence[str]) -> list[str]:
    return [word for word in layers if word.strip() != ALL]


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
            return folder, Results(settings, every, before.trained)
        refuse_used(folder, "choose another --name")
        folder.mkdir(parents=True, exist_ok=True)
    results = Results(settings, layers)
    results.save(folder)
    return folder, results
