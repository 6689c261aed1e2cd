"""One item per recorded file, and a table of them at the end of the run."""

from collections import defaultdict
from pathlib import Path

from recorded import Recorded

VECTORS = Path(__file__).parent / "vectors"


def pytest_generate_tests(metafunc):
    if "recorded" in metafunc.fixturenames:
        folder = metafunc.config.getoption("golden") or VECTORS
        files = [Recorded.open(path) for path in sorted(folder.rglob("*.safetensors"))]
        names = [f"{file.system}/{file.path.stem}" for file in files]
        metafunc.parametrize("recorded", files, ids=names)


def pytest_terminal_summary(terminalreporter):
    systems = defaultdict(lambda: defaultdict(float))
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(outcome):
            facts = dict(report.user_properties)
            if "system" in facts:
                row = systems[facts.pop("system")]
                row[outcome] += 1
                for name, value in facts.items():
                    row[name] = max(row[name], value)
    if not systems:
        return
    columns = ("float64 output", "float64 gradient", "float32 output", "float32 gradient")
    terminalreporter.section("recorded vectors: worst relative error")
    head = f"{'system':28}{'passed':>7}{'failed':>7}{'skipped':>8}"
    terminalreporter.write_line(head + "".join(f"{name:>18}" for name in columns))
    for system, row in sorted(systems.items()):
        counts = f"{row['passed']:7.0f}{row['failed']:7.0f}{row['skipped']:8.0f}"
        errors = "".join(f"{row[n]:18.1e}" if n in row else f"{'-':>18}" for n in columns)
        terminalreporter.write_line(f"{system:28}{counts}{errors}")
