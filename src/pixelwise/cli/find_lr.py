"""`pixelwise find-lr`: which learning rate suits a run, before it is made."""

import contextlib
import shlex
from collections.abc import Sequence

from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model
from pixelwise.cli.parsing import add_settings, command_parser, parse, take
from pixelwise.language import translate
from pixelwise.train.presets import preset_file
from pixelwise.train.settings import TrainSettings

TEXT = """Let the learning rate rise from 1e-7 to 10 in 100 steps of the run that 'pixelwise train'
with the same options would make, and propose the peak (--lr). No weights are kept. The picture and
the numbers are written to runs/find-lr/NAME/."""


def main(arguments: Sequence[str]) -> int:
    """Search; returns 1 where the loss fell nowhere."""
    parser = command_parser("find-lr", TEXT)
    add_settings(parser, TrainSettings)
    parser.add_argument(
        "--preset", type=str | None, help="published recipe to start from, e.g. mmsegmentation_80k"
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    if found.preset is not None:
        found = parse(parser, arguments, preset_file(found.preset))
    settings = take(found, TrainSettings)
    check_data(settings.data)
    if settings.start is not None:
        check_model(settings.start)
    with Console(quiet=found.quiet) as console:
        from functools import partial

        from pixelwise import pictures
        from pixelwise.train.interrupt import Interrupted, Stopped
        from pixelwise.train.plan import make_plan
        from pixelwise.train.rates import search, shortened
        from pixelwise.train.run import new_run

        reading = partial(console.busy, translate("reading masks"))
        plan = make_plan(shortened(settings), console.say, reading)
        folder = new_run(settings, "find-lr")
        try:
            result = search(plan, folder, console)
        except Interrupted as stop:
            console.warn(
                translate("interrupted by {stop}; nothing was kept, start again").format(stop=stop)
            )
            return stop.exit_code
        except Stopped as stop:
            console.warn(translate("stopped: {stop}").format(stop=stop))
            return 1
        finally:
            with contextlib.suppress(OSError):  # there are results in it
                folder.rmdir()
        rate = result.proposed
        rows = zip(result.rates, result.losses, result.smooth, strict=True)
        lines = [
            "step,lr,loss,smooth",
            *(f"{k},{','.join(map(repr, row))}" for k, row in enumerate(rows, 1)),
        ]
        drawn = pictures.rate_curve(result.rates, result.losses, result.smooth, rate)
        pictures.write_bytes(folder / "lr_finder.csv", ("\n".join(lines) + "\n").encode())
        pictures.write_bytes(folder / "lr_finder.png", drawn)
    print(translate("ended:   {ended}").format(ended=result.ended))
    print(translate("picture: {folder}").format(folder=folder / "lr_finder.png"))
    if rate is None:
        console.warn(
            translate(
                "the loss falls at no rate, so none is proposed; look at the picture, at"
                " the data (pixelwise check-data), and try --overfit-one-batch"
            )
        )
        return 1
    print(
        translate(
            "lowest:  the loss is lowest at {lowest:.2g}; a tenth of it is {lowest2:.2g}"
        ).format(lowest=result.lowest, lowest2=result.lowest / 10)
    )
    print(
        translate("propose: --lr {rate:.2g}, in the middle of the steepest fall").format(rate=rate)
    )
    words = shlex.join(word for word in arguments if word != "--quiet")
    print(
        translate("next:    pixelwise train {words} --lr {rate:.2g}").format(words=words, rate=rate)
    )
    return 0
