"""What `--compile auto` does in a command, and what it says of it."""

from collections.abc import Callable

from torch import nn

from pixelwise.compiling import per_mode, verdicts
from pixelwise.compiling.verdicts import Verdict
from pixelwise.language import translate


class Compiling:
    """Lets the layers of networks run compiled where that is faster, and says so in lines.

    Args:
        asked: "auto" or "off".
        say: Takes a line.
    """

    def __init__(self, asked: str, say: Callable[[str], None]) -> None:
        self.on, self.say = asked == "auto", say
        self._told = len(verdicts.found())

    def take(self, model: nn.Module) -> None:
        """Do so inside of a network, in place; where it cannot be, say why and go on without."""
        if not self.on:
            return
        names = dict.fromkeys(layer.name for layer in per_mode.candidates(model))
        device = next((weight.device.type for weight in model.parameters()), "cpu")
        if not names:
            line = translate("compile no layer here is worth trying")
        elif device != "cpu":
            line = translate("compile layers are compiled on CPUs only, not on {device}")
        elif per_mode.compiler() is None:
            line = translate("compile no C++ compiler was found ({compilers}), so layers are not")
        else:
            line = translate("compile {layers}: measured at first calls, which takes seconds each")
            per_mode.compiled(model)
        compilers = ", ".join(per_mode.COMPILERS)
        self.say(line.format(layers=", ".join(names), device=device, compilers=compilers))

    def tell(self) -> None:
        """Say what was found since the last time, if anything."""
        found = verdicts.found()
        if self.on and found[self._told :]:
            self.say(_line(found[self._told :]))
        self._told = len(found)


def _line(found: list[Verdict]) -> str:
    taken = _listed([verdict for verdict in found if verdict.taken])
    rest = _listed([verdict for verdict in found if not verdict.taken])
    if not rest:
        return translate("compile faster: {taken}").format(taken=taken)
    if not taken:
        return translate("compile as they are: {rest}").format(rest=rest)
    return translate("compile faster: {taken}; as they are: {rest}").format(taken=taken, rest=rest)


def _listed(found: list[Verdict]) -> str:
    """Each layer in each mode, with how many times faster it is compiled."""
    ratios: dict[str, list[float]] = {}
    for verdict in found:
        ratios.setdefault(f"{verdict.layer} ({verdict.mode})", []).append(verdict.ratio)
    return ", ".join(f"{name} {_range(several)}".rstrip() for name, several in ratios.items())


def _range(ratios: list[float]) -> str:
    """The lowest and the highest; nothing where none was measured."""
    ends = [f"{ratio:.2g}x" for ratio in (min(ratios), max(ratios)) if ratio]
    return "-".join(dict.fromkeys(ends))
