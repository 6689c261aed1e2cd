"""Looks through the finished site without a network: links, anchors, pictures, and what pages load.

Addresses of other hosts are looked at for their form only. What a browser would load by itself
(pictures, scripts, styles, fonts) must lie in the site.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "img": ("src", "srcset"),
    "script": ("src",),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
"""Elements that load, and the attributes that say what."""
LOADED_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect"}
"""Kinds of `<link>` that load."""
IN_STYLES = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)")
IN_SCRIPTS = re.compile(
    r"(?:fetch|import|importScripts|Worker|WebSocket|EventSource)\(\s*['\"`]((?:https?|wss?):)?//"
)


class Page(HTMLParser):
    """What a page has: names that links may lead to, links, and what it loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what an element names, links or loads."""
        found = {name: value or "" for name, value in attributes}
        self.names.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and LOADED_LINKS & set(found.get("rel", "").split()):
            self.loads.append(found["href"])
        elif tag == "link" and found.get("rel") == "alternate":
            self.links.append(found["href"])
        self.loads += [found[name] for name in LOADED.get(tag, ()) if found.get(name)]


def problems(site: Path, folders: list[str]) -> Iterator[str]:
    """What is wrong in a site, a line each.

    Args:
        site: the folder that has one folder for each language.
        folders: the languages to look at; links to another one are not followed.

    Yields:
        `PAGE: what is wrong`.
    """
    found = {
        file.resolve(): Page(file) for folder in folders for file in (site / folder).rglob("*.html")
    }
    others = [site.resolve() / name for name in ("en", "zh") if name not in folders]
    for file, page in found.items():
        name = file.relative_to(site.resolve()).as_posix()
        for address in page.loads:
            if urlsplit(address).netloc:
                yield f"{name}: loads from another host: {address}"
            elif not address.startswith("#") and (said := _missing(address, file, found, others)):
                yield f"{name}: {said}"
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https"):
                if not parts.hostname or " " in address:
                    yield f"{name}: no address: {address}"
            elif parts.scheme not in ("mailto", "data") and (
                said := _missing(address, file, found, others)
            ):
                yield f"{name}: {said}"
    for folder in folders:
        yield from _foreign(site / folder)


def _missing(address: str, file: Path, pages: dict[Path, Page], others: list[Path]) -> str | None:
    """What an address of the site lacks: the file, or the place on its page."""
    parts = urlsplit(address)
    if parts.scheme:
        return None if parts.scheme == "data" else f"unknown kind of link: {address}"
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if any(target.is_relative_to(other) for other in others):
        return None
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return f"no file for {address}"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].names:
        return f"no such place: {address}"
    return None


def _foreign(folder: Path) -> Iterator[str]:
    """Styles and scripts that would load something from another host."""
    for file in [*folder.rglob("*.css"), *folder.rglob("*.js"), *folder.rglob("*.html")]:
        text = file.read_text(encoding="utf-8")
        patterns = [IN_STYLES] if file.suffix == ".css" else [IN_STYLES, IN_SCRIPTS]
        for pattern in patterns:
            for found in pattern.finditer(text):
                yield f"{file.name}: loads from another host: {found[0]}"
