"""The losses by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from pixelwise.losses.boundary import boundary
from pixelwise.losses.lovasz import lovasz
from pixelwise.losses.pixels import cross_entropy, focal, ohem
from pixelwise.losses.regions import dice, focal_tversky, tversky

LARGEST = 100.0


@dataclass(frozen=True)
class Kind:
    """One loss.

    Args:
        summary: What it is, in a few words.
        of: A function of the batch and the parameters, whose defaults it has.
        parameters: Name -> the least and the largest value.
        weighted: Whether class weights have a meaning.
    """

    summary: str
    of: Callable[..., Tensor]
    parameters: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    weighted: bool = False


_SIDES = {"alpha": (0.0, LARGEST), "beta": (0.0, LARGEST)}
KINDS: Mapping[str, Kind] = {
    "cross_entropy": Kind(
        "all pixels alike", cross_entropy, {"smoothing": (0.0, 0.999)}, weighted=True
    ),
    "ohem": Kind(
        "hard pixels alone: those whose class is improbable",
        ohem,
        {"threshold": (1e-6, 1.0)},
        weighted=True,
    ),
    "focal": Kind("sure pixels weigh little", focal, {"gamma": (0.0, LARGEST)}, weighted=True),
    "dice": Kind("overlap of each class over both areas", dice, {"smooth": (0.0, 1e6)}),
    "tversky": Kind("overlap, false and missed pixels weighed apart", tversky, _SIDES),
    "focal_tversky": Kind(
        "tversky, more of classes hardly found",
        focal_tversky,
        {**_SIDES, "gamma": (0.1, LARGEST)},
    ),
    "lovasz": Kind("a bound of 1 - IoU of each class", lovasz),
    "boundary": Kind("distance of predicted pixels to the class's border", boundary),
}
"""Name -> the loss; the first is the usual one."""
SHORT = {"ce": "cross_entropy"}
"""Other names."""
LOSSES: Mapping[str, str] = {name: kind.summary for name, kind in KINDS.items()}
"""Name -> what it is, in a few words."""
EXAMPLE = "ce+0.5*dice"
