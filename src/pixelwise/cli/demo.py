"""`pixelwise demo`: two small networks on made-up pictures, and a page to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelwise.checks import in_range, one_of
from pixelwise.cli.console import Console
from pixelwise.cli.parsing import add_settings, command_parser, parse, take
from pixelwise.devices import DEVICES, check_device
from pixelwise.errors import InputError
from pixelwise.language import cells, left, right, spoken, translate
from pixelwise.settings import setting
from pixelwise.tasks.registry import available

TEXT = """Train a small network with attention and the same one without on made-up pictures, then
compare them on a page. In the aerial scenes of the task multiclass, only the far surroundings tell
a car from a boat."""


@dataclass(frozen=True)
class DemoSettings:
    """Settings of `pixelwise demo`."""

    task: str = setting("multiclass", "what to learn: multiclass, keypoints or regression")
    attention: str = setting("psa_s@2,3,4", "layer, and the stages of the backbone to put it after")
    steps: int | None = setting(
        None, "optimiser steps of each of the two networks; default: 300, for keypoints 700"
    )
    seed: int = setting(0, "random seed of the scenes and of the training")
    device: str = setting("auto", DEVICES)
    runs: str = setting("runs", "folder that runs are written to")

    def __post_init__(self) -> None:
        one_of(available(), task=self.task)
        if self.attention.partition("@")[0] in ("", "none", "auto"):
            raise InputError(
                f"attention={self.attention!r}: the other network has none; name a layer, such as"
                " psa_s@2,3,4"
            )
        if self.steps is not None:
            in_range(1, 1_000_000, steps=self.steps)
        in_range(0, 2**31, seed=self.seed)
        check_device(self.device)


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration; returns the exit code."""
    parser = command_parser("demo", TEXT)
    add_settings(parser, DemoSettings)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    settings = take(found, DemoSettings)
    again = "" if settings.task == DemoSettings.task else f" --task {settings.task}"
    with Console(quiet=found.quiet) as console:
        console.say(translate("loading PyTorch ..."))
        from pixelwise.demo import run_demo
        from pixelwise.train.interrupt import Interrupted, Stopped

        try:
            shown = run_demo(settings, console)
        except Interrupted as stop:
            console.warn(
                translate("interrupted by {stop}; start again with: pixelwise demo{again}").format(
                    stop=stop, again=again
                )
            )
            return stop.exit_code
        except Stopped as stop:
            console.warn(translate("stopped: {stop}").format(stop=stop))
            return 1
    tables = shown.measures
    first = next(iter(tables.values()))
    width = max(cells(spoken(name)) for name in (*(row.name for row in first.rows), shown.heading))
    heads = "".join(f"  {right(spoken(name), 20)}" for name in tables)
    print(f"\n{left(shown.heading, width)}{heads}")
    for number, row in enumerate(first.rows):
        values = [table.text(table.rows[number].value) for table in tables.values()]
        told = "".join(f"  {right(value, 20)}" for value in values)
        print(left(spoken(row.name), width) + told)
    print(
        translate(
            "\n"
            "{learnt}\n"
            "page:    {folder}\n"
            "weights: {folder2}\n"
            "next:    pixelwise predict {folder3} {pictures}\n"
            "         pixelwise train --data YOUR/data.yaml --attention {attention}"
        ).format(
            learnt=shown.learnt,
            folder=shown.folder / "report.html",
            folder2=shown.folder / "model.safetensors",
            folder3=shown.folder,
            pictures=shown.pictures,
            attention=settings.attention,
        )
    )
    return 0
