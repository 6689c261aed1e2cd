"""What is needed to publish: files that others read are whole, and say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from pixelwise.release import VERSION

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = [
    *ROOT.glob(".github/**/*.yml"),
    ROOT / "conda/recipe.yaml",
    ROOT / "CITATION.cff",
]
ELSEWHERE = {
    "torch": "pytorch",
    "huggingface-hub": "huggingface_hub",
    "matplotlib": "matplotlib-base",
}
"""Names of packages for conda, where they differ."""
OF_CONDA_ALONE = {"python", "typeshed-client", "docstring_parser"}
"""The interpreter, and what jsonargparse's extra `signatures` stands for."""


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_for_others_can_be_read(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_version_is_the_same_everywhere():
    assert PROJECT["version"] == VERSION
    assert read("CITATION.cff")["version"] == VERSION
    assert read("conda/recipe.yaml")["context"]["version"] == VERSION
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heading[1] == VERSION


def test_addresses_are_the_same_everywhere():
    urls, citation, about = (
        PROJECT["urls"],
        read("CITATION.cff"),
        read("conda/recipe.yaml")["about"],
    )
    assert citation["repository-code"] == about["repository"] == urls["Source"]
    assert citation["url"] == about["documentation"] == urls["Documentation"]
    assert about["license"] == PROJECT["license"]
    (link,) = read(".github/ISSUE_TEMPLATE/config.yml")["contact_links"]
    assert link["url"] == urls["Documentation"]


def test_conda_needs_what_pip_needs():
    wanted = {}
    for text in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(?:\[\w+\])?(>=\S+)", text).groups()
        wanted[ELSEWHERE.get(name, name)] = bound
    listed = dict(line.split(" ", 1) for line in read("conda/recipe.yaml")["requirements"]["run"])
    assert listed["python"] == ">=${{ python_min }}"
    assert PROJECT["requires-python"] == f">={read('conda/recipe.yaml')['context']['python_min']}"
    assert {n: b for n, b in listed.items() if n not in OF_CONDA_ALONE} == wanted


def test_versions_of_python_are_told_up_to_the_newest():
    told = [line for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert told == [f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)]
    assert {"注意力机制", "语义分割", "semantic segmentation"} <= set(PROJECT["keywords"])


def test_workflows_hold_no_secret_and_no_more_rights_than_they_need():
    for path in ROOT.glob(".github/workflows/*.yml"):
        text = path.read_text(encoding="utf-8")
        found = yaml.safe_load(text)
        assert "secrets." not in text
        assert found["permissions"] == {"contents": "read"}
        for name, job in found["jobs"].items():
            assert job["timeout-minutes"] <= 180
            assert job.get("permissions", {}) in ({}, {"id-token": "write"}), name
            for step in job["steps"]:
                used = step.get("uses")
                assert used is None or re.search(r"@(?:v\d+|release/v\d+)$", used), used
                assert "${{ github.event" not in step.get("run", "")
    publish = read(".github/workflows/release.yml")["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"
    assert publish["steps"][-1]["with"]["attestations"] is True
    ci = read(".github/workflows/ci.yml")["jobs"]["run"]["steps"]
    assert ci[-1]["run"] == "bash .ci/run"


@pytest.mark.parametrize("name", ["bug", "feature", "wrong-result"])
def test_forms_of_issues_ask_for_something(name):
    form = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"]
    assert form["description"]
    asked = [entry for entry in form["body"] if entry["type"] != "markdown"]
    assert len({entry["id"] for entry in asked}) == len(asked) >= 3
    assert all(entry["attributes"]["label"] for entry in asked)
    assert any(entry.get("validations", {}).get("required") for entry in asked)


def test_the_citation_has_what_its_form_asks_for():
    found = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "abstract", "license"} <= set(found)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(found["date-released"]))
