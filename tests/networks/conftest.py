"""`--networks FILE`: what every network is on every backbone, from a run of test_matrix.py."""

HEAD = """# Networks on backbones

Written by `pytest tests/networks/test_matrix.py --networks docs/networks.md`. A row is one test:
forward and backward with four input bands, three classes and every auxiliary output; a picture of
97x65; a binary head; saving and loading, bit for bit; and torch.export with free height and width,
checked at two further sizes. Parameters are those of three classes and four bands, auxiliary heads
included; operations those of 512x512 pixels and 19 classes, attention counted, one multiplication
and one addition each. Swin is narrowed to 24 channels and one block per stage; timm's padding of
its windows binds an export to the sizes it was made with, so that is not run.

"""
SIZES = "## Published sizes"
"""What follows in the file is written by hand, and stays."""
COLUMNS = ("network", "backbone", "parameters", "GFLOP at 512x512", "test", "export")


def pytest_terminal_summary(terminalreporter, config):
    file = config.getoption("networks")
    if file is None:
        return
    rows = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            facts = dict(report.user_properties)
            if report.when == "call" and "network" in facts:
                rows.append(row(facts, outcome))
    kept = file.read_text().partition(SIZES)[2] if file.is_file() else ""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *sorted(rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    file.write_text(f"{HEAD}{table}\n" + (f"\n{SIZES}{kept}" if kept else ""))
    terminalreporter.write_line(f"wrote {file}")


def row(facts, outcome):
    numbers = [
        f"{facts['parameters']:,}" if "parameters" in facts else "",
        f"{facts['flops'] / 1e9:.1f}" if "flops" in facts else "",
    ]
    verdict = facts.get("refused") or outcome
    return [
        f"`{facts['network']}`",
        f"`{facts['backbone']}`",
        *numbers,
        verdict,
        facts.get("export", ""),
    ]
