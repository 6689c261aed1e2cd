"""The options that say how often a picture is looked at, and in how many bits."""

from typing import TYPE_CHECKING

from jsonargparse import Namespace

from pixelwise.checks import in_range, one_of
from pixelwise.cli.parsing import CommandParser
from pixelwise.compiling.asked import CHOICES
from pixelwise.errors import InputError

if TYPE_CHECKING:
    from pixelwise.predict.views import Views


def add_views(parser: CommandParser) -> None:
    """`--window`, `--overlap`, `--scales`, `--flip`, `--tta`, `--precision` and `--compile`."""
    parser.add_argument(
        "--window",
        type=int,
        default=1024,
        help="predict larger pictures in tiles of so many pixels",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.25,
        help="share of a tile that its neighbour covers too, 0 to 0.9",
    )
    parser.add_argument(
        "--scales", type=str | None, help="average over scales of the pictures, e.g. 0.75,1,1.25"
    )
    parser.add_argument(
        "--flip", action="store_true", help="average with the pictures mirrored left-right"
    )
    parser.add_argument("--tta", action="store_true", help="short for --scales 0.75,1,1.25 --flip")
    parser.add_argument(
        "--precision",
        type=str,
        default="32",
        help="32, bf16, or auto: bf16 where the processor has AMX or AVX512-BF16",
    )
    parser.add_argument(
        "--compile",
        type=str,
        default="off",
        help="off, or auto: layers run compiled where that is measured faster on this CPU",
    )


def views_of(found: Namespace) -> "Views":
    """What `--scales`, `--flip` and `--tta` say.

    Raises:
        InputError: They cannot be.
    """
    from pixelwise.predict.views import TTA, WHOLE, Views, read_scales

    if found.tta:
        if found.scales is not None or found.flip:
            raise InputError("tta=True: says scales and flip itself; leave those out, or --tta")
        return TTA
    scales = WHOLE.scales if found.scales is None else read_scales(found.scales)
    return Views(scales, found.flip)


def check_views(found: Namespace) -> None:
    """Raise an InputError for an overlap, a precision or a form that cannot be."""
    in_range(0, 0.9, overlap=found.overlap)
    one_of(("32", "bf16", "auto"), precision=found.precision)
    one_of(CHOICES, compile=found.compile)
