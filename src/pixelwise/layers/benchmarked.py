"""What benchmarks need to know of a layer: which options, at what size, and whether to compile."""

from collections.abc import Mapping
from typing import Any, ClassVar

Size = tuple[int, int, int, int]
"""Images, channels, rows and columns."""


class Benchmarked:
    """What `pixelwise bench` and `pixelwise.compiled` take from a layer's class.

    The defaults do for most layers; a subclass of another layer states its own.
    """

    benchmark_cases: ClassVar[tuple[str, ...]] = ("",)
    """The options that stand for the layer in a list of all, as typed after its key and a colon:
    widths and modes as in the authors' networks. "" is none."""
    worth_compiling: ClassVar[tuple[str, ...]] = ()
    """In which modes `pixelwise.compiled` measures whether torch.compile makes the layer faster on
    the CPU at hand: "forward" where no gradients are recorded, "train" where they are."""
    between_processes: ClassVar[bool] = False
    """Whether it talks to the other processes of a training, which measure on their own."""

    authors_forms: ClassVar[Mapping[str, str]] = {}
    """Operation -> the form with which the plain form of the layer costs what the code costs that
    its authors released. Only where that costs less than the plain form as it is: elsewhere the
    plain form costs no more. `pixelwise bench` calls it `authors-form`."""
    authors_limit: ClassVar[str] = ""
    """What the authors' code cannot be run on, marked for translation; `pixelwise bench` says it
    below its table. "" is nothing."""

    @classmethod
    def benchmark_divisor(cls, options: Mapping[str, Any]) -> int:
        """By what to divide the sides of maps, where these options need too much memory."""
        return 1

    @classmethod
    def benchmark_options(cls, options: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The options with which to measure on a map of `size`, where these are given."""
        return dict(options)
