"""Write docs/export-matrix.md from what studies/export_matrix.py left.

python studies/export_page.py
"""

import csv
from pathlib import Path

from export_cases import cases

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "export-matrix.md"
ROWS = Path(__file__).with_name("export_matrix.csv")
DEVICES = Path(__file__).with_name("export_devices.csv")
FORMATS = ("torch-export", "onnx", "openvino")

HEAD = """# Export matrix

Written by `python studies/export_page.py` from [export_matrix.csv](../studies/export_matrix.csv),
which `python studies/export_matrix.py` measures; `tests/export/test_export_matrix.py` exports a
part of it again. On a CPU, in float32, with {versions}.

Every layer (32 channels) and every network (three classes, random weights that all count; on the
backbone `test_resnet` where none is named) is exported once, with free batch, height and width, and
run at five sizes:

| | sample | odd | small | wide | batch |
| --- | --- | --- | --- | --- | --- |
| layers | 2 x 24x32 | 2 x 17x29 | 2 x 5x6 | 1 x 12x80 | 3 x 24x32 |
| networks | 2 x 64x96 | 2 x 97x65 | 2 x 20x17 | 1 x 32x224 | 3 x 64x96 |

"Small" is less than a window of a layer or the stride of a backbone; a layer with a limit gets the
nearest size that it takes. A cell is the worst error of the five: the largest difference from the
eager output, divided by the range of that output. Above 1e-4, or where a size fails, the format is
refused: "no", and the number of the reason below. "Not yet" is not measured yet.

{summary}

- **torch-export** is the program of `torch.export`; `pixelwise export` proves its file each time.
- **onnx** is that program as an ONNX file in ONNX Runtime.
- **openvino** is the same file, read by OpenVINO. It resizes without antialiasing, with which timm
  brings the positions of a ViT to other sizes than its own: hence the differences there.
"""

TRIED = """
Tried once each, by hand, beside the torch named above; errors as in the tables.
"""


def read(path=ROWS):
    """The rows of the CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(rows, kind, reasons):
    """Lines of a table; new reasons are added to `reasons`."""
    yield f"| {kind} | {' | '.join(FORMATS)} |"
    yield "| --- | " + " | ".join("---" for _ in FORMATS) + " |"
    names = [case.name for case in cases() if case.kind == kind]
    cells = {(row["name"], row["format"]): row for row in rows if row["kind"] == kind}
    for name in names:
        key, _, options = name.partition(", ")
        shown = [f"`{key}`" + (f", `{options}`" if options else "")]
        for format in FORMATS:
            row = cells.get((name, format), {"result": "", "worst": "not yet"})
            if row["result"] == "refused":
                why = f"`{row['reason']}`"
                number = list(dict.fromkeys([*reasons, why])).index(why) + 1
                reasons[why] = number
                shown.append(f"no [{number}](#reasons)")
            else:
                shown.append("0" if row["worst"] == "0.0e+00" else row["worst"])
        yield f"| {' | '.join(shown)} |"


def summary(rows):
    """How many cases pass in each format."""
    counts = []
    for kind in ("network", "layer"):
        results = [(r["format"], r["result"]) for r in rows if r["kind"] == kind]
        told = [f"{results.count((f, 'yes'))} in {f}" for f in FORMATS]
        total = len({r["name"] for r in rows if r["kind"] == kind})
        counts.append(f"Of {total} {kind}s measured (options count), {', '.join(told)} are right.")
    return "\n".join(counts)


def page(rows):
    """The whole page."""
    reasons = {}
    layers = "\n".join(table(rows, "layer", reasons))
    networks = "\n".join(table(rows, "network", reasons))
    listed = "\n".join(f"{number}. {why}" for why, number in reasons.items())
    versions = ", ".join(dict.fromkeys(row["versions"] for row in rows))
    parts = [
        HEAD.format(versions=versions, summary=summary(rows)),
        "## Networks",
        networks,
        "## Layers",
        layers,
    ]
    if reasons:
        parts += ["## Reasons", listed]
    parts += ["## ExecuTorch and LiteRT", TRIED, "\n".join(devices())]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def devices():
    """The table of formats for devices."""
    yield "| with | network | sizes | what happened |"
    yield "| --- | --- | --- | --- |"
    for row in read(DEVICES):
        yield f"| {' | '.join(row.values())} |"


def main():
    PAGE.write_text(page(read()), encoding="utf-8")


if __name__ == "__main__":
    main()
