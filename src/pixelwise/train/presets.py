"""Recipes that people have published, as settings files that name their source."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from pixelwise.errors import unknown


def preset_names(package: str = "pixelwise.train") -> list[str]:
    """The names of all presets of a package."""
    names = (entry.name.removesuffix(".yaml") for entry in _folder(package).iterdir())
    return sorted(names)


def preset_file(name: str, package: str = "pixelwise.train") -> str:
    """The settings file of a preset.

    Raises:
        InputError: There is no such preset.
    """
    if name not in preset_names(package):
        raise unknown("preset", name, preset_names(package))
    return str(_folder(package) / f"{name}.yaml")


def _folder(package: str) -> Traversable:
    return files(package) / "presets"
