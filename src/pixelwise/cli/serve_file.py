"""`pixelwise serve RUN --out page.html`: the page to click as one file."""

from pathlib import Path

from jsonargparse import Namespace

from pixelwise.cli.console import Console
from pixelwise.cli.given import check_model, check_pictures, refuse_given
from pixelwise.language import translate

OF_A_SERVER = {
    "beside": None,
    "save_to": None,
    "host": "127.0.0.1",
    "port": None,
    "open": False,
    "max_megapixels": 4.2,
    "as_is": False,
    "device": "auto",
}
"""Options that say nothing of a file, and their values where nothing is said."""


def write_file(found: Namespace) -> int:
    """Write the page; returns the exit code."""
    refuse_given(found, OF_A_SERVER, "is for a server; leave it out, or --out")
    check_model(found.run)
    check_pictures(found.pictures)
    with Console(quiet=found.quiet) as console:
        from pixelwise.networks.segmenter import load
        from pixelwise.predict.images import find_pictures
        from pixelwise.serve.described import shown_names
        from pixelwise.serve.one_file.writing import SUFFIXES, check_target, write_page

        check_target(Path(found.out))
        pictures = find_pictures(found.pictures, SUFFIXES) if found.pictures else []
        model = load(found.run)
        config = model.config
        console.say(
            translate("model   {arch} on {backbone}, {run}").format(
                arch=config.arch, backbone=config.backbone, run=found.run
            )
        )
        report = write_page(
            model,
            found.out,
            name=shown_names([found.run])[0],
            pictures=pictures,
            half=found.half,
            say=console.say,
        )
        for line in report.limits:
            console.warn(line)
        console.say(
            translate(
                "proof   largest difference {difference:.1e}, of a map {map_difference:.1e}"
            ).format(difference=report.difference, map_difference=report.map_difference)
        )
        console.print(
            translate("written, {bytes:.1f} MB: {path}").format(
                bytes=report.bytes / 1e6, path=report.path
            )
        )
        console.say(translate("next: open it in a browser; it asks for nothing else"))
    return 0
