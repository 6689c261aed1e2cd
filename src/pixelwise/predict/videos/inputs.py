"""Which of the files that a command is given are clips."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.errors import InputError
from pixelwise.predict.images import find_pictures
from pixelwise.predict.videos.animation import is_animation
from pixelwise.predict.videos.encoder import is_ours
from pixelwise.predict.videos.library import CLIP_SUFFIXES, FOUND, is_installed


def clips_and_others(
    inputs: Sequence[str], *, any_suffix: bool = False
) -> tuple[list[Path], list[str], list[Path]]:
    """The clips, each once, the inputs that hold something else, and clips that are left out.

    These lie beside pictures, and there is nothing to read them with. In folders, clips that were
    written here are none.

    Args:
        inputs: Files, folders and patterns.
        any_suffix: A single file that is no picture is a clip whatever its name.
    """
    clips: dict[Path, Path] = {}
    others: list[str] = []
    left: list[Path] = []
    for given in inputs:
        path = Path(given)
        if path.is_file():
            suffix = path.suffix.lower()
            alone = any_suffix and len(inputs) == 1 and suffix not in PICTURE_SUFFIXES
            if suffix in CLIP_SUFFIXES or alone or is_animation(path):
                clips.setdefault(path.resolve(), path)
            else:
                others.append(given)
            continue
        found = _in(given, FOUND if path.is_dir() else CLIP_SUFFIXES)
        pictures = not found or bool(_in(given, PICTURE_SUFFIXES))
        if pictures:
            others.append(given)
        if pictures and not is_installed():
            left += found
            continue
        for clip in found:
            if not (is_installed() and is_ours(clip)):
                clips.setdefault(clip.resolve(), clip)
    return list(clips.values()), others, left


def _in(given: str, suffixes: frozenset[str]) -> list[Path]:
    try:
        return find_pictures([given], suffixes)
    except InputError:
        return []
