"""Recipes that people have published, as settings files that name their source."""

from importlib.resources import files

from pixelwise.errors import unknown

FOLDER = files("pixelwise.train") / "presets"


def preset_names() -> list[str]:
    """The names of all presets."""
    names = (entry.name.removesuffix(".yaml") for entry in FOLDER.iterdir())
    return sorted(names)


def preset_file(name: str) -> str:
    """The settings file of a preset.

    Raises:
        InputError: There is no such preset.
    """
    if name not in preset_names():
        raise unknown("preset", name, preset_names())
    return str(FOLDER / f"{name}.yaml")
