"""Notebooks: run from the Python files of `docs/notebooks`, as pages and as files to download.

The files are in jupytext's percent format. Each runs in an empty folder; an error in a cell ends
the build with the cell and its traceback.
"""

import base64
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from building.places import DOCS, ROOT

READS = ("src", "docs/notebooks")
SECONDS = 300
"""What a cell may take."""
PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg"}
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def write(source: Path) -> None:
    """Write `notebooks/NAME.md`, its pictures, and `notebooks/NAME.ipynb`."""
    folder = source / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted((DOCS / "notebooks").glob("*.py")):
        notebook = executed(file)
        jupytext.write(notebook, folder / f"{file.stem}.ipynb")
        (folder / f"{file.stem}.md").write_text(page(notebook, file.stem, folder), encoding="utf-8")


def executed(file: Path) -> Any:
    """A notebook with the outputs of its cells.

    Args:
        file: in jupytext's percent format.

    Returns:
        The notebook.

    Raises:
        RuntimeError: A cell failed.
    """
    notebook = jupytext.read(file)
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    os.environ["NO_COLOR"] = "1"
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's, with its folder
    with tempfile.TemporaryDirectory() as place:
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],  # not that its port is open to this machine
            resources={"metadata": {"path": place}},
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise RuntimeError(f"{file.relative_to(ROOT)}: {COLOURS.sub('', str(error))}") from None
    return notebook


def page(notebook: Any, name: str, folder: Path) -> str:
    """A notebook that has run, as Markdown.

    Args:
        notebook: with outputs.
        name: of the page; pictures are called after it.
        folder: where pictures are written.

    Returns:
        The page; a link to the notebook stands below its title.
    """
    parts: list[str] = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            if number == 0:
                parts.append(f"[{name}.ipynb]({name}.ipynb)")
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(f"```python\n{cell.source}\n```")
            parts += _outputs(cell, f"{name}_{number}", folder)
    return "\n\n".join(parts) + "\n"


def _outputs(cell: Any, name: str, folder: Path) -> Iterator[str]:
    """What a cell printed and showed; pictures become files."""
    printed = ""
    for index, output in enumerate(cell.outputs):
        if output.output_type == "stream":
            printed += output.text
            continue
        if printed:
            yield _text(printed)
            printed = ""
        data = output.get("data", {})
        kind = next((kind for kind in PICTURES if kind in data), None)
        if kind is not None:
            file = f"{name}_{index}.{PICTURES[kind]}"
            content = data[kind]
            coded = kind != "image/svg+xml"
            (folder / file).write_bytes(
                base64.b64decode(content) if coded else content.encode("utf-8")
            )
            yield f"![]({file})"
        elif "text/plain" in data:
            yield _text(data["text/plain"])
    if printed:
        yield _text(printed)


def _text(printed: str) -> str:
    """What was printed as a terminal shows it: no codes of colours, no overwritten lines."""
    lines = [line.rpartition("\r")[2].rstrip() for line in COLOURS.sub("", printed).split("\n")]
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```"
