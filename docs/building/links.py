"""Links of a page, written for the place where the page stands in the site.

Pages link to each other and to files of the repository by relative paths, so that they also work
where the repository is read as it is. In the site, some pages stand elsewhere (`CONTRIBUTING.md` is
`contributing.md`), and what is no page becomes `repo:PATH`, an address made in `docs/conf.py`.
"""

import os
import posixpath
import re
from pathlib import Path

import pixelwise
from building.places import DOCS, ROOT

MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files outside of `docs` -> the pages that stand for them."""
LINK = re.compile(r"\]\((?![a-z]+:|#|/)(?P<path>[^()#\s]+)(?P<anchor>#[^()\s]*)?\)")
FENCE = re.compile(r"^(?:```|~~~)", re.MULTILINE)


def page_of(path: str) -> str | None:
    """Where a path of the repository stands in the site, None where it does not.

    Args:
        path: relative to the repository.

    Returns:
        The place, relative to the root of the site.
    """
    if path in MOVED:
        return MOVED[path]
    inside = path.removeprefix("docs/")
    if inside == path:
        return None
    return None if inside.endswith((".py", ".csv", ".yaml")) else inside


def relinked(text: str, path: str, place: str) -> str:
    """The text of a page with its links set right for the site.

    Args:
        text: Markdown; code blocks stay as they are.
        path: where the text lies in the repository.
        place: where it will stand in the site.

    Returns:
        The same text with other links.
    """

    def replaced(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found["path"]))
        page = page_of(target)
        if page is None:
            return f"](repo:{target})"
        return f"]({relative(page, place)}{found['anchor'] or ''})"

    parts, fenced = [], False
    for line in text.splitlines(keepends=True):
        if FENCE.match(line):
            fenced = not fenced
        parts.append(line if fenced else LINK.sub(replaced, line))
    return "".join(parts)


def relative(page: str, place: str) -> str:
    """The path to a page from another, both relative to the root of the site."""
    return posixpath.relpath(page, posixpath.dirname(place) or ".")


def repository_path(file: Path) -> str:
    """A file of the repository as a path with slashes, relative to its root.

    A file of the package may be that of an installed copy.
    """
    installed = Path(pixelwise.__file__).parent
    if file.is_relative_to(installed):
        file = ROOT / "src" / "pixelwise" / file.relative_to(installed)
    return file.relative_to(ROOT).as_posix()


def sources() -> dict[str, Path]:
    """Pages written by hand: place in the site -> file."""
    found = {place: ROOT / name for name, place in MOVED.items() if place != "index.md"}
    for folder in (DOCS, DOCS / "guides", DOCS / "decisions"):
        for file in sorted(folder.glob("*.md")):
            found[os.path.relpath(file, DOCS).replace(os.sep, "/")] = file
    return found
