"""A drawn data set for every task; and `--tasks FILE`: which network learns which task.

That is from a run of test_every_network.py. Cells that the run left out (`-k keypoints`) stay as
they are in the file.
"""

import pytest
from PIL import Image

from pixelwise.data.opening import DRAWN, open_data
from pixelwise.networks.registry import names
from pixelwise.tasks.registry import available, task_class

COUNTS = "size=64,train=3,val=2,test=1"

HEAD = """# Networks and tasks

Written by `pytest -m "slow or not slow" tests/tasks/test_every_network.py --tasks docs/tasks.md`.
Each cell is one test on a tiny backbone and drawn pictures. The network is built, trained for two
steps, evaluated and saved; the same run, stopped after one step and resumed, ends in the same
weights, bit for bit; and the saved network has the same scores, and gives the same answers, as
before it was saved.

- yes: all of that holds. So it does in every other cell.
- without presence loss: that loss is about which classes a picture shows, so the task has none. The
  weights for it are saved, but not trained, and no answer depends on them.
- with one region: each output is a region that pixels ask. A single output is a single region, so
  every pixel gets the same context, and weights that compare pixels with regions have no effect.

Every attention layer also trains in a network of every task (`tests/tasks/test_every_layer.py`).

"""


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Task -> its drawn data set; of a binary task, the scenes' first class or not, in files."""
    specs = [f"{name}:{COUNTS}" for name in DRAWN]
    by_kind = {open_data(spec).kind: spec for spec in specs}
    folder = tmp_path_factory.mktemp("two")
    scenes = open_data(by_kind["classes"])
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for i, sample in enumerate(scenes.split(split)):
            picture = Image.fromarray(sample.image.permute(1, 2, 0).numpy())
            picture.save(folder / split / "images" / f"{i}.png")
            ground = Image.fromarray((sample.mask == 0).byte().numpy())
            ground.save(folder / split / "masks" / f"{i}.png")
    text = "train: train/images\nval: val/images\nnames: [other, ground]\n"
    (folder / "data.yaml").write_text(text)
    return {task: by_kind[task_class(task).data] for task in available()} | {"binary": str(folder)}


def pytest_terminal_summary(terminalreporter, config):
    file = config.getoption("tasks")
    if file is None:
        return
    before = file.read_text() if file.is_file() else ""
    cells = read(before)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            facts = dict(report.user_properties)
            if report.when == "call" and "task" in facts:
                verdict = facts.get("verdict", "") if outcome == "passed" else "failed"
                cells[facts["network"], facts["task"]] = verdict
    lines = [["network", *available()], ["---"] * (1 + len(available()))]
    for network in names():
        lines.append([f"`{network}`", *(cells.get((network, task), "") for task in available())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    rest = before.partition("\n\n## ")[1:]
    file.write_text(f"{HEAD}{table}" + ("".join(rest) if rest[0] else "\n"))
    terminalreporter.write_line(f"wrote {file}")


@pytest.fixture
def cells_of():
    return read


def read(text):
    """(network, task) -> what the table of a page says."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    head, *body = rows or [[]]
    return {
        (row[0].strip("`"), task): cell
        for row in body
        if row[0].startswith("`")
        for task, cell in zip(head[1:], row[1:], strict=True)
    }
