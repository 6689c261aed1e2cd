"""What a run of measurements is told."""

import re
from dataclasses import dataclass

from pixelwise.checks import in_range, one_of
from pixelwise.errors import InputError
from pixelwise.layers.benchmarked import Size
from pixelwise.settings import setting

MODES = ("forward", "train")
DTYPES = ("float32", "bfloat16", "float16")
OURS, PLAIN, COMPILED = "ours", "plain", "compiled"
"""Forms that are always there to be named; the others are packages."""
AUTHORS = "authors-form"
"""What costs as much as released code: of the few cases whose plain form costs more than that."""


@dataclass(frozen=True)
class BenchSettings:
    """What to measure of each case, and how."""

    size: str = setting(
        "", "IMAGESxCHANNELSxHEIGHTxWIDTH,...; default: 1x512x64x128, for networks 1x3x512x1024"
    )
    mode: str = setting("forward,train", "forward, train (forward and backward), or both")
    device: str = setting("cpu", "cpu, cuda or cuda:N")
    dtype: str = setting("float32", "float32, bfloat16 or float16")
    against: str = setting(
        PLAIN,
        "what to compare with: plain (the equations as they are written), authors-form (at the cost"
        " of released code, of the layers whose plain form costs more, e.g. encoding), timm,"
        " fightingcv, mmseg, smp or none",
    )
    growth: bool = setting(
        False,
        "measure how time and memory grow with the pixels, from 16x32 on, instead of one size",
    )
    backbone: str = setting("resnet50", "backbone of the networks, any of timm's")
    seconds: float = setting(2.5, "shortest time for each comparison, in seconds")
    repeats: int = setting(3, "fewest calls of each form")
    seconds_per_call: float = setting(20.0, "longest call that --growth goes on to, in seconds")
    forms: str = setting(
        "", "forms that our layers must use, OPERATION=FORM,..., e.g. attention=lean"
    )
    compile: bool = setting(False, "also measure our layer under torch.compile")
    channels_last: bool = setting(False, "use the memory format channels_last")

    def __post_init__(self) -> None:
        for mode in self.modes:
            one_of(MODES, mode=mode)
        one_of(DTYPES, dtype=self.dtype)
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise InputError(f"device={self.device!r}: must be cpu, cuda or cuda:N; e.g. cuda:0")
        in_range(0, 3600, seconds=self.seconds)
        in_range(1, 10_000, repeats=self.repeats)
        in_range(0.001, 86_400, seconds_per_call=self.seconds_per_call)
        assert all(self.sizes)  # raises where one is misspelt
        assert all(self.forced.values())  # likewise

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes, as a list."""
        return _words(self.mode)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes that are given; none where the defaults are meant."""
        return tuple(parse_map_size(word) for word in _words(self.size))

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of the forms beside ours."""
        words = tuple(word for word in _words(self.against) if word != "none")
        return (*words, COMPILED) if self.compile else words

    @property
    def forced(self) -> dict[str, str]:
        """Operation -> form, for `pixelwise.ops.running.choice.forced`."""
        pairs = [word.partition("=") for word in _words(self.forms)]
        for operation, equals, form in pairs:
            if not (operation and equals and form):
                raise InputError(
                    f"forms={self.forms!r}: must be OPERATION=FORM,...; e.g. attention=lean"
                )
        return {operation: form for operation, _, form in pairs}


def parse_map_size(text: str) -> Size:
    """`"1x512x64x128"` -> (1, 512, 64, 128)."""
    found = re.fullmatch(r"(\d+)x(\d+)x(\d+)x(\d+)", text.strip())
    numbers = tuple(int(part) for part in found.groups()) if found else (0,)
    if min(numbers) < 1:
        raise InputError(f"size={text!r}: must be IMAGESxCHANNELSxHEIGHTxWIDTH; e.g. 1x512x64x128")
    return (numbers[0], numbers[1], numbers[2], numbers[3])


def written(size: Size) -> str:
    """(1, 512, 64, 128) -> `"1x512x64x128"`."""
    return "x".join(map(str, size))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
