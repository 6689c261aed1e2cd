"""One item per recorded file, and a table of them at the end of the run."""

from collections import defaultdict
from pathlib import Path

import pytest
from adapters import UNCOUNTED
from recorded import Recorded

VECTORS = Path(__file__).parent / "vectors"


def pytest_generate_tests(metafunc):
    if "recorded" in metafunc.fixturenames:
        folder = metafunc.config.getoption("golden") or VECTORS
        files = [Recorded.open(path) for path in sorted(folder.rglob("*.safetensors"))]
        names = [f"{file.system}/{file.path.stem}" for file in files]
        metafunc.parametrize("recorded", files, ids=names)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Every file in every form is slow; where a folder is named, all of it is wanted."""
    for item in items if config.getoption("golden") is None else ():
        if "in_each_form" in item.name:
            item.add_marker(pytest.mark.slow)


COLUMNS = ("float64 output", "float64 gradient", "float32 output", "float32 gradient")
HEAD = """# Numerical differences from the authors' code

Written by `pytest tests/golden --errors docs/equality.md`. Numbers that were recorded from the
authors' own code in float64 are compared with ours, with the same weights, loaded through
`load_reference`: outputs, gradients of inputs and parameters, and buffers that change in a step.
Each error is the largest in all files of a system, relative to the largest value of the tensor. The
recordings are stored in float32, which alone causes an error of about 5e-8. A system is a mechanism
and the code that it was recorded from. "Not counted" are parts that nobody has weights of alone:
they are compared with a class of the tests, and load with the whole networks.

"""


def pytest_terminal_summary(terminalreporter, config):
    systems = defaultdict(lambda: defaultdict(float))
    reasons = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(outcome):
            facts = dict(report.user_properties)
            if "system" in facts:
                system = facts.pop("system")
                row = systems[system]
                row[outcome] += 1
                if outcome == "skipped":
                    reasons[system] = report.longrepr[2].partition(": ")[2].partition(": ")[2]
                for name, value in facts.items():
                    row[name] = max(row[name], value)
    if not systems:
        return
    terminalreporter.section("recorded vectors: worst relative error")
    head = f"{'system':40}{'passed':>7}{'failed':>7}{'skipped':>8}"
    terminalreporter.write_line(head + "".join(f"{name:>18}" for name in COLUMNS))
    for system, row in sorted(systems.items()):
        counts = f"{row['passed']:7.0f}{row['failed']:7.0f}{row['skipped']:8.0f}"
        errors = "".join(f"{row[n]:18.1e}" if n in row else f"{'-':>18}" for n in COLUMNS)
        terminalreporter.write_line(f"{system:40}{counts}{errors}")
    if file := config.getoption("errors"):
        file.write_text(HEAD + table(systems, reasons) + "\n")
        terminalreporter.write_line(f"wrote {file}")


def table(systems, reasons):
    lines = [["system", "files", *COLUMNS], ["---"] * (2 + len(COLUMNS))]
    for system, row in sorted(systems.items()):
        if system in reasons:
            lines.append([f"`{system}`", f"not compared: {reasons[system]}", *[""] * len(COLUMNS)])
            continue
        verdict = f"{row['passed']:.0f}" + f", {row['failed']:.0f} FAIL" * bool(row["failed"])
        verdict += ", not counted" * (system in UNCOUNTED)
        errors = [f"{row[name]:.1e}" if name in row else "-" for name in COLUMNS]
        lines.append([f"`{system}`", verdict, *errors])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
