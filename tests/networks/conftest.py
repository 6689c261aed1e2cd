"""`--networks FILE`: what every network is on every backbone, from a run of test_matrix.py.

Rows of networks that the run left out (`-k lr_aspp`) stay as they are in the file.
"""

from pixelwise.networks.registry import names

HEAD = """# Networks on backbones

Written by `pytest tests/networks/test_matrix.py --networks docs/networks.md`. Each row is one
test: forward and backward with four input bands, three classes and all auxiliary outputs; an image
of 97x65 pixels; a binary head; saving and loading, bit for bit; and torch.export with dynamic
height and width, checked at two other sizes. Parameters are counted for three classes and four
bands, including auxiliary heads. Operations are counted for 512x512 pixels and 19 classes,
including attention; a multiplication and an addition count as two. Swin has only 24 channels and
one block per stage. It is not exported, because the way timm pads its windows fixes the sizes.

"""
SIZES = "## Published sizes"
"""What follows in the file is written by hand, and stays."""
COLUMNS = ("network", "backbone", "parameters", "GFLOP at 512x512", "test", "export")


def pytest_terminal_summary(terminalreporter, config):
    file = config.getoption("networks")
    if file is None:
        return
    before, _, kept = file.read_text().partition(SIZES) if file.is_file() else ("", "", "")
    rows = {row[:2]: row for row in map(cells, before.splitlines()) if known(row)}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            facts = dict(report.user_properties)
            if report.when == "call" and "network" in facts:
                found = row(facts, outcome)
                rows[found[:2]] = found
    lines = [COLUMNS, ["---"] * len(COLUMNS), *sorted(rows.values())]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    file.write_text(f"{HEAD}{table}\n" + (f"\n{SIZES}{kept}" if kept else ""))
    terminalreporter.write_line(f"wrote {file}")


def cells(line):
    return tuple(cell.strip() for cell in line.strip("|").split("|"))


def known(row):
    return len(row) == len(COLUMNS) and row[0].strip("`") in names()


def row(facts, outcome):
    numbers = [
        f"{facts['parameters']:,}" if "parameters" in facts else "",
        f"{facts['flops'] / 1e9:.1f}" if "flops" in facts else "",
    ]
    verdict = facts.get("refused") or outcome
    return (
        f"`{facts['network']}`",
        f"`{facts['backbone']}`",
        *numbers,
        verdict,
        facts.get("export", ""),
    )
