"""The same mechanisms in other packages, with weights of their own: for time and memory alone.

A file per package: what it has by our key, each built where our layer's width and options are
given; options that it lacks, and mechanisms, are blanks. Packages are imported when they are timed.
"""

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from torch import nn

from pixelwise.benchmarks.cases import Case
from pixelwise.benchmarks.settings import AUTHORS, COMPILED, PLAIN
from pixelwise.errors import InputError, unknown

Shape = Sequence[int]

PACKAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "timm": ("timm", ("timm",)),
    "fightingcv": ("fightingcv_attention", ("fightingcv-attention",)),
    "mmseg": ("mmseg", ("onedl-mmsegmentation", "mmsegmentation")),
    "smp": ("segmentation_models_pytorch", ("segmentation-models-pytorch",)),
}
"""Name of a form -> the module to import, and the names under which one installs it."""


def check_installed(name: str) -> None:
    """Raise unless `name` is a form that can be timed here."""
    if name in (PLAIN, AUTHORS, COMPILED):
        return
    if name not in PACKAGES:
        raise unknown("form", name, [PLAIN, AUTHORS, *PACKAGES], "to compare with")
    module, packages = PACKAGES[name]
    if find_spec(module) is None:
        raise InputError(
            f"against={name!r}: the package is not installed; pip install {packages[0]}"
        )


def peer_version(name: str) -> str:
    """Name and version of the package; empty for forms of our own."""
    for package in PACKAGES.get(name, ("", ()))[1]:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return ""


def peer_module(
    name: str, case: Case, ours: nn.Module, shapes: Sequence[Shape]
) -> nn.Module | None:
    """What the package has for the case, for inputs of these shapes; None where it has nothing."""
    module: Any = importlib.import_module(f"{__name__}.{name}")
    if case.is_network:
        build = module.NETWORKS.get(case.key)
        return None if build is None else build(ours)
    build = module.LAYERS.get(case.key)
    return None if build is None else build(shapes[0], dict(case.options))
