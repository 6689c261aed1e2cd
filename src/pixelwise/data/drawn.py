"""What data sets without files have in common: names, options, and splits drawn from a seed."""

from dataclasses import dataclass, fields

from pixelwise.checks import at_least
from pixelwise.errors import InputError, unknown

SETS = ("scenes", "puppets", "depth-scenes", "overlapping-scenes")
SPLITS = ("train", "val", "test")


def is_drawn(spec: str) -> bool:
    """Whether `spec` names a data set without files, with or without options."""
    return spec.partition(":")[0] in SETS


@dataclass(frozen=True)
class DrawnOptions:
    """What a spec as "scenes:seed=1,size=96" may state.

    Args:
        seed: Another seed, other pictures.
        size: Side of the pictures, pixels; at least 64.
        train: How many training pictures; likewise `val` and `test`.
    """

    seed: int = 1
    size: int = 96
    train: int = 400
    val: int = 80
    test: int = 80

    def __post_init__(self) -> None:
        at_least(0, seed=self.seed)
        at_least(64, size=self.size)
        at_least(1, train=self.train, val=self.val, test=self.test)

    def count(self, split: str) -> int:
        """How many pictures a split has.

        Raises:
            InputError: There is no such split.
        """
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        return int(getattr(self, split))


def parse_options(spec: str) -> dict[str, int]:
    """What "NAME:seed=1,size=96,train=400,val=80,test=80" states; "NAME" states nothing.

    Raises:
        InputError: An unknown option or a value that is no whole number.
    """
    known = [field.name for field in fields(DrawnOptions)]
    name, _, options = spec.partition(":")
    given = {}
    for part in filter(None, options.split(",")):
        key, _, value = (text.strip() for text in part.partition("="))
        if key not in known:
            raise unknown("option", key, known, f"of {name}")
        if not value.lstrip("-").isdecimal():
            raise InputError(f"{key}={value!r}: must be a whole number; e.g. {name}:{key}=100")
        given[key] = int(value)
    return given
