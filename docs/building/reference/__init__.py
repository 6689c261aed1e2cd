"""The reference: pages of the library's doors and rooms, of every command and of every setting.

All texts are the docstrings and help texts of the source; nothing is written twice.
"""

from pathlib import Path

from building.reference.chapters import CHAPTERS, Chapter
from building.reference.commands import command_pages
from building.reference.settings import settings_page
from building.reference.symbols import chapter_page

READS = ("src",)
START = """# Reference

The library, by room. Signatures are as in the source: shapes stand in the annotations
(`Float[Tensor, 'b c h w']`: images, channels, rows, columns), what stands behind `*` is given by
name. Layers and their options are in the [gallery](../gallery/index.md).

{rooms}

**Command line**
- [Commands](commands/index.md): every command with all its options.
- [Settings](settings.md): what `pixelwise train` and others take, advanced settings too.

:::{{toctree}}
:hidden:

{entries}
settings
commands/index
:::
"""


def write(source: Path) -> None:
    """Write `reference/...` below a folder of sources."""
    pages = {"index.md": _start(CHAPTERS), "settings.md": settings_page()}
    pages |= {f"{chapter.name}.md": chapter_page(chapter) for chapter in CHAPTERS}
    pages |= {f"commands/{name}.md": text for name, text in command_pages().items()}
    for name, text in pages.items():
        target = source / "reference" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _start(chapters: tuple[Chapter, ...]) -> str:
    rooms = "\n".join(f"- [{c.title}]({c.name}.md): {c.line}" for c in chapters)
    return START.format(
        rooms="**Library**\n" + rooms, entries="\n".join(chapter.name for chapter in chapters)
    )
