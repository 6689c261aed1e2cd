"""What coding agents read is what the sources say, and short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pixelwise.cli.main import COMMANDS
from pixelwise.layers.registry import available
from pixelwise.networks.registry import names

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def files():
    """Path -> text, as they are written anew."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from building.agents import files

        yield files()
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_committed_files_are_those_that_are_written(files):
    changed = [name for name, text in files.items() if (ROOT / name).read_text("utf-8") != text]
    assert not changed, "run python docs/write_agents.py"


def test_they_are_short(files):
    for name in ("AGENTS.md", "skills/pixelwise/SKILL.md"):
        assert len(files[name].splitlines()) < 150


def test_every_command_layer_and_network_is_named(files):
    text = files["AGENTS.md"]
    for name in (*COMMANDS, *available(), *names()):
        assert f"`{name}`" in text, name


def test_the_skill_begins_with_what_it_is_chosen_by(files):
    _, head, body = files["skills/pixelwise/SKILL.md"].split("---\n", 2)
    found = yaml.safe_load(head)
    assert found["name"] == "pixelwise"
    assert re.fullmatch(r"[a-z0-9-]{1,64}", found["name"])
    assert 100 < len(found["description"]) <= 1024
    assert body.lstrip().startswith("# ")


def test_addresses_lead_to_files(files):
    found = 0
    for text in (files["llms.txt"], files["AGENTS.md"]):
        for path in re.findall(r"\(https://[^)]*/blob/main/([^)]+)\)", text):
            assert (ROOT / path).exists(), path
            found += 1
    assert found > 60


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 0, "# pixelwise, for coding agents"),
        (["SKILL.md"], 0, "---"),
        (["other"], 2, "error: 'other': no such text; name one of AGENTS.md, SKILL.md, llms.txt"),
    ],
)
def test_they_can_be_printed(words, code, told):
    command = [sys.executable, "-m", "pixelwise.agents", *words]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == code
    assert (done.stdout + done.stderr).splitlines()[0] == told
