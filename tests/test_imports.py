"""No circles of imports inside a room."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pixelwise

ROOT = Path(pixelwise.__file__).parent
ROOMS = sorted(folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file())
NOT_MENDED: set[str] = set()
"""Rooms that still hold a circle."""


def imports(room):
    """Module -> modules of the same room that it imports, those inside functions included."""
    files = {name_of(file): file for file in (ROOT / room).rglob("*.py")}
    graph = {}
    for name, file in files.items():
        found = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                # `from package import module` imports both
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        graph[name] = found & files.keys() - {name}
    return graph


def name_of(file):
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("room", sorted({*ROOMS} - NOT_MENDED))
def test_no_circle(room):
    try:
        TopologicalSorter(imports(room)).prepare()
    except CycleError as error:
        pytest.fail(f"circle of imports: {' <- '.join(error.args[1])}")


def test_imports_are_found():
    assert "pixelwise.data.folder" in imports("data")["pixelwise.data.opening"]
    assert "pixelwise.pictures.masks" in imports("pictures")["pixelwise.pictures"]
