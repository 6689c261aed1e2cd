"""`--tasks FILE`: which network learns which task, from a run of test_every_network.py.

Cells that the run left out (`-k keypoints`) stay as they are in the file.
"""

from pixelwise.networks.registry import names
from pixelwise.tasks.registry import available

HEAD = """# Networks and tasks

Written by `pytest -m slow tests/tasks/test_every_network.py --tasks docs/tasks.md`. Each cell is
one test on a tiny backbone and the task's drawn data set. It builds the network, trains two steps,
evaluates and saves; the same run, stopped after one step and resumed, ends in the same weights, bit
for bit; the saved network gives the same scores, and loaded and saved once more the same answers.
"yes": all that, and every weight is trained. "without ..." names weights that the task has no use
for: they are saved, but no loss reaches them, and they change no answer.

"""


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
