"""`pixelwise demo`: two small networks on made-up scenes, and a page to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelwise.checks import in_range
from pixelwise.cli.console import Console
from pixelwise.cli.parsing import add_settings, command_parser, parse, take
from pixelwise.devices import DEVICES, check_device
from pixelwise.settings import setting

TEXT = """Train a small network with attention and the same one without on made-up aerial scenes, in
which only the far surroundings tell a car from a boat; then compare them on a page."""


@dataclass(frozen=True)
class DemoSettings:
    """Settings of `pixelwise demo`."""

    attention: str = setting("psa_s@2,3,4", "layer, and the stages of the backbone to put it after")
    steps: int = setting(300, "optimiser steps of each of the two networks")
    seed: int = setting(0, "random seed of the scenes and of the training")
    device: str = setting("auto", DEVICES)
    runs: str = setting("runs", "folder that runs are written to")

    def __post_init__(self) -> None:
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
    with Console(quiet=found.quiet) as console:
        console.say("loading PyTorch ...")
        from pixelwise.demo import run_demo
        from pixelwise.train.interrupt import Interrupted
        from pixelwise.train.loop import Stopped

        try:
            shown = run_demo(settings, console)
        except Interrupted as stop:
            console.warn(f"interrupted by {stop}; start again with: pixelwise demo")
            return stop.exit_code
        except Stopped as stop:
            console.warn(f"stopped: {stop}")
            return 1
    names = list(shown.scores)
    heading = "IoU on test, %"
    width = max(len(name) for name in (*shown.names, heading))
    print(f"\n{heading:{width}}" + "".join(f"  {n:>20}" for n in names))
    rows = [(c, [s.iou[i] for s in shown.scores.values()]) for i, c in enumerate(shown.names)]
    rows.append(("mean IoU", [s.miou for s in shown.scores.values()]))
    for label, values in rows:
        cells = ["absent" if v is None else f"{100 * v:.1f}" for v in values]
        print(f"{label:{width}}" + "".join(f"  {cell:>20}" for cell in cells))
    print(
        f"\n{shown.learnt}\n"
        f"page:    {shown.folder / 'report.html'}\n"
        f"weights: {shown.folder / 'model.safetensors'}\n"
        f"next:    pixelwise predict {shown.folder} {shown.folder / 'scenes'}\n"
        f"         pixelwise train --data YOUR/data.yaml --attention {settings.attention}"
    )
    return 0
