"""The pages of the documentation as `llms.txt` lists them: title, address, what is there."""

import re
from dataclasses import dataclass

from building.places import ROOT, project

HEADING = re.compile(r"^(?:\*\*(.+)\*\*|#{2,3} (.+))$")
ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)(?:#[^)]*)?\): (.+)$")
SUMMARY = (
    "Python library and command line on PyTorch, Apache-2.0: attention layers equal to their"
    " authors' code, segmentation networks that use them, training, prediction, explanation,"
    " insertion into other networks, export."
)


@dataclass(frozen=True)
class Page:
    """A page of the documentation.

    Args:
        section: The heading that it stands under.
        title: What the index calls it.
        path: In the repository.
        line: What is there.
    """

    section: str
    title: str
    path: str
    line: str

    @property
    def address(self) -> str:
        """Where it can be read, from anywhere."""
        return f"{project()['source']}/blob/main/{self.path}"


def pages() -> list[Page]:
    """The pages that `docs/index.md` lists, each once, in its order."""
    found: dict[str, Page] = {}
    section = ""
    for line in (ROOT / "docs/index.md").read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            section = heading[1] or heading[2]
        elif entry := ENTRY.match(line):
            path = (ROOT / "docs" / entry[2]).resolve().relative_to(ROOT).as_posix()
            if (ROOT / path).exists():  # not what is generated
                found.setdefault(path, Page(section, entry[1], path, plain(entry[3])))
    return list(found.values())


def plain(text: str) -> str:
    """A line without links."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)


def llms_text() -> str:
    """`llms.txt`: what the project is, and each page with its address."""
    base = f"{project()['source']}/blob/main"
    lines = ["# pixelwise", "", f"> {SUMMARY}", ""]
    lines += [
        "Begin with AGENTS.md: entry points, commands, layers by purpose, traps. Pages are",
        "Markdown; the site has them in English and Chinese.",
        "",
        "## For agents",
        "",
        f"- [AGENTS.md]({base}/AGENTS.md): how to use the library in somebody's project",
        f"- [SKILL.md]({base}/skills/pixelwise/SKILL.md): the same as a skill, step by step",
    ]
    section = None
    for page in pages():
        if page.section != section:
            section = page.section
            name = "Optional" if section == "Decisions" else section
            lines += ["", f"## {name}", ""]
        lines.append(f"- [{page.title}]({page.address}): {page.line}")
    return "\n".join(lines) + "\n"
