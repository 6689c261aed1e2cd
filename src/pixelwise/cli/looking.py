"""A quick look at data before something is trained on them."""

from pixelwise.cli.console import Console
from pixelwise.language import translate


def look_at(console: Console, data: str) -> None:
    """The doctor's quick form: tells what it finds, and stops where training must not start."""
    from pixelwise.doctor.page import lines
    from pixelwise.doctor.quick import quick_look
    from pixelwise.train.interrupt import Stopped

    looked = quick_look(data)
    if looked is None:
        return
    for line in lines(looked):
        console.warn(line)
    more = f"pixelwise check-data {data}"
    console.say(
        translate(
            "check   {read} of {pairs} pictures and masks in {seconds:.1f} s; all of them: {more}"
        ).format(read=looked.read, pairs=looked.pairs, seconds=looked.seconds, more=more)
    )
    if not looked.may_start:
        raise Stopped(
            translate(
                "training must not start on such data. {more} shows all of it; with --check-data"
                " false training starts nevertheless"
            ).format(more=more)
        )
