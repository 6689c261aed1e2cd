"""`AGENTS.md` and the skill: entry points, commands, layers by purpose, traps, pages."""

import re
import tomllib
from pathlib import Path

import yaml

from building.agents.pages import SUMMARY, pages
from building.agents.traps import TRAPS
from building.places import ROOT
from pixelwise.cli.main import COMMANDS
from pixelwise.layers.base import FusionLayer
from pixelwise.layers.registry import available
from pixelwise.networks.registry import available as networks
from pixelwise.networks.zoo import ZOO

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/write_agents.py; change what it reads, and run it. -->"
DEVELOPERS = ("docs", "test")
"""Extras that users do not need."""


def agents_text() -> str:
    """`AGENTS.md`."""
    parts = [
        f"# pixelwise, for coding agents\n\n{NOTE}",
        f"{SUMMARY}\nThis page says how to use it in somebody's project; `CONTRIBUTING.md` says how"
        " to work on it.",
        f"## Install\n\n{_install()}",
        f"## From Python\n\n{_part('doors')}",
        f"## From the command line\n\n{_commands()}\n\n{_part('habits')}",
        f"## A task from pictures to an answer\n\n{_part('steps')}",
        f"## Layers by purpose\n\n{_layers()}",
        f"## Networks by purpose\n\n{_networks()}",
        f"## Traps\n\n{_traps()}",
        f"## Where to read on\n\n{_pages()}",
    ]
    return "\n\n".join(parts) + "\n"


def skill_text() -> str:
    """`SKILL.md`, with the front matter that agents choose skills by."""
    head = (
        "---\nname: pixelwise\ndescription: Semantic segmentation and other pixel-wise prediction"
        " with attention layers in PyTorch. Use it to train, score, explain or export a"
        " segmentation network, to insert an attention layer (SE, CBAM, PSA, DANet, OCR ...) into"
        " an existing network, to read masks and rasters, or when code imports pixelwise.\n"
        "license: Apache-2.0\n---"
    )
    parts = [
        f"{head}\n\n# Work with pixelwise\n\n{NOTE}",
        SUMMARY,
        f"## Before you begin\n\n{_install()}\n\n{_part('data')}\n\n{_data()}",
        f"## Steps\n\n{_part('steps')}",
        f"## In code\n\n{_part('doors')}",
        f"## Traps\n\n{_traps()}",
        f"## If it fails\n\n{_part('habits')}",
        f"## More\n\n{_part('more')}",
    ]
    return "\n\n".join(parts) + "\n"


def _part(name: str) -> str:
    """A text that stands beside this file."""
    return (HERE / f"{name}.md").read_text(encoding="utf-8").strip()


def _install() -> str:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    users = [name for name in content["optional-dependencies"] if name not in DEVELOPERS]
    extras = ", ".join(f"`{name}`" for name in users)
    return _part("install").format(extras=extras, python=content["requires-python"])


def _data() -> str:
    """The first example of the page on data sets."""
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n.*?^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def _commands() -> str:
    rows = [f"| `{name}` | {line} |" for name, line in COMMANDS.items()]
    return "\n".join(["| `pixelwise ...` | |", "|---|---|", *rows])


def _by_purpose(kind: str) -> dict[str, list[str]]:
    """Purpose -> keys."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(
        (HERE / "purposes.yaml").read_text(encoding="utf-8")
    )
    return found[kind]


def _layers() -> str:
    layers = available()
    lines = []
    for purpose, keys in _by_purpose("layers").items():
        told = [f"`{key}` {layers[key].title}" for key in keys]
        lines.append(f"- **{purpose}**: {'; '.join(told)}")
    two = [f"`{key}`" for key, layer in layers.items() if issubclass(layer, FusionLayer)]
    lines.append(f"\n{', '.join(two)} take two inputs: `layer(x, guide)`.")
    return "\n".join(lines)


def _networks() -> str:
    known = {**networks(), **ZOO}
    lines = []
    for purpose, keys in _by_purpose("networks").items():
        told = [f"`{key}` {known[key].title}" for key in keys]
        lines.append(f"- **{purpose}**: {'; '.join(told)}")
    return "\n".join(lines)


def _traps() -> str:
    return "\n".join(f"- {trap.mistake}: {trap.remedy}." for trap in TRAPS)


def _pages() -> str:
    wanted = [page for page in pages() if page.section != "Decisions"]
    sections = dict.fromkeys(page.section for page in wanted)
    lines = []
    for section in sections:
        listed = [f"[{p.title}]({p.address})" for p in wanted if p.section == section]
        lines.append(f"- **{section}**: {', '.join(listed)}")
    return "\n".join(lines)
