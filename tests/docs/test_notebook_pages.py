"""Notebooks are run, and become pages with what they print and show."""

from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="needs the packages of pixelwise[docs]")
import nbformat
from building import notebooks

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def test_cells_and_outputs_become_a_page(tmp_path):
    new = nbformat.v4
    code = new.new_code_cell("print('a')")
    code.outputs = [
        new.new_output("stream", text="50 %\r100 %\n\x1b[31mred\x1b[0m\n"),
        new.new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}),
        new.new_output("execute_result", data={"text/plain": "42"}),
    ]
    made = new.new_notebook(cells=[new.new_markdown_cell("# Title"), code])
    assert notebooks.page(made, "first", tmp_path) == (
        "# Title\n\n[first.ipynb](first.ipynb)\n\n```python\nprint('a')\n```\n\n"
        "```text\n100 %\nred\n```\n\n![](first_1_1.png)\n\n```text\n42\n```\n"
    )
    assert (tmp_path / "first_1_1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_notebook_runs_in_a_folder_of_its_own_and_its_errors_are_told(tmp_path, monkeypatch):
    pytest.importorskip("ipykernel", reason="needs the packages of pixelwise[docs]")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    good = tmp_path / "good.py"
    good.write_text("# %%\nfrom pathlib import Path\nPath('x').write_text('y')\nprint(6 * 7)\n")
    text = notebooks.page(notebooks.executed(good), "good", tmp_path)
    assert "```text\n42\n```" in text
    assert not Path("x").exists()
    bad = tmp_path / "bad.py"
    bad.write_text("# %%\nraise ValueError('broken')\n")
    with pytest.raises(RuntimeError, match=r"(?s)bad\.py: .*broken"):
        notebooks.executed(bad)
