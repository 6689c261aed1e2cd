"""Whether networks of a comparison can be exported, proven equal; a part of what a layer costs."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pixelwise.compare.arms import Arm
from pixelwise.compare.costs import Costs
from pixelwise.compare.planning import Prepared
from pixelwise.errors import InputError, in_one_line
from pixelwise.export.exporting import export

FORMATS = {"ONNX": ".onnx", "pt2": ".pt2"}


def with_exports(
    begun: Prepared,
    arms: Sequence[Arm],
    costs: Mapping[str, Costs],
    busy: Callable[[str, int, int], None],
) -> dict[str, Costs]:
    """The costs, with what came of exporting each arm once; what fails is said, never raised.

    Args:
        begun: Data, recipe and host.
        arms: What is exported.
        costs: By the arm's name.
        busy: Told of the progress.
    """
    found = dict(costs)
    for number, arm in enumerate(arms):
        busy("exporting", number, len(arms))
        found[arm.name] = dataclasses.replace(costs[arm.name], exports=_tried(begun, arm))
    busy("exporting", len(arms), len(arms))
    return found


def _tried(begun: Prepared, arm: Arm) -> dict[str, str]:
    network = begun.network(arm)
    network.config = begun.plan.model.config
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, suffix in FORMATS.items():
            try:
                export(network.eval(), Path(folder) / f"network{suffix}")
                told[name] = ""
            except InputError as error:
                told[name] = in_one_line(error, 200)
            except Exception as error:  # exporters raise what they like
                told[name] = f"{type(error).__name__}: {in_one_line(error, 200)}"
    return told
