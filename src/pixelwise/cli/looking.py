"""A quick look at data before something is trained on them."""

from pixelwise.cli.console import Console


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
        f"check   {looked.read} of {looked.pairs} pictures and masks in {looked.seconds:.1f} s;"
        f" all of them: {more}"
    )
    if not looked.may_start:
        raise Stopped(
            f"training must not start on such data. {more} shows all of it; with --check-data false"
            " training starts nevertheless"
        )
