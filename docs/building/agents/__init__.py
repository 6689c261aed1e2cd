"""What coding agents read: `llms.txt`, `AGENTS.md` and the skill, from the sources of the site.

`python docs/write_agents.py` writes the files that lie in the repository and in the package; a
test compares them with what is written here. The site gets `llms.txt`.
"""

from pathlib import Path

from building.agents.pages import llms_text
from building.agents.texts import agents_text, skill_text
from building.places import ROOT

READS = ("src", "docs", "pyproject.toml")


def files() -> dict[str, str]:
    """Path in the repository -> text."""
    agents, skill, llms = agents_text(), skill_text(), llms_text()
    return {
        "AGENTS.md": agents,
        "llms.txt": llms,
        "skills/pixelwise/SKILL.md": skill,
        "src/pixelwise/agents/AGENTS.md": agents,
        "src/pixelwise/agents/llms.txt": llms,
        "src/pixelwise/agents/SKILL.md": skill,
    }


def write(source: Path) -> None:
    """Write what the site shows.

    Args:
        source: the folder of sources.
    """
    source.mkdir(parents=True, exist_ok=True)
    (source / "llms.txt").write_text(llms_text(), encoding="utf-8")


def write_committed() -> list[str]:
    """Write the files of the repository; returns the paths of those that changed."""
    changed = []
    for name, text in files().items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            changed.append(name)
    return changed
