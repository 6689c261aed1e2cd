"""Which files below a folder are meant: not those that systems and tools keep for themselves."""

from pathlib import PurePath

TOOLS = frozenset({"__MACOSX", "@eaDir", "Thumbs"})


def is_hidden(place: PurePath) -> bool:
    """Whether a file or a folder on the way to it is hidden or a tool's own.

    Args:
        place: Relative to the folder that is looked through.
    """
    return any(part.startswith((".", "@")) or part in TOOLS for part in place.parts if part != "..")
