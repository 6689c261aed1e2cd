"""Table, CSV and picture of the documentation, from a probe of all layers.

pixelwise probe all --device cpu --name layers
python studies/probe.py --run runs/probe/layers

writes probe.csv (accuracy by layer, variant and distance) and probe_reach.csv (a row for each
layer) into `studies`, docs/pictures/probe_accuracy.png, and the table in docs/probe.md.
"""

import argparse
import re
from pathlib import Path

import machine
from pixelwise.pictures import write_bytes
from pixelwise.probe.charts import accuracy_chart
from pixelwise.probe.results import Results, accuracy_rows
from pixelwise.probe.subjects import BASELINES
from pixelwise.probe.variants import VARIANTS
from pixelwise.probe.writing import reach_rows

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "probe.md"
TABLE = re.compile(r"(?<=<!-- written by studies/probe.py -->\n).*?(?=\n\n)", re.DOTALL)


def markdown(results, curves):
    """A row for each layer: reach and accuracy in each variant, and both fields."""
    texts = {(one.subject, one.variant): one.text.replace(">=", "≥ ") for one in curves}
    header = ["layer", *VARIANTS, "theoretical", "effective"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for name in results.subjects:
        field = results.fields[name]
        cells = [texts.get((name, variant), "") for variant in VARIANTS]
        cells += [field.reach_text.replace(">=", "≥ "), field.radius_text]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder of the probe")
    options = parser.parse_args()
    results = Results.load(Path(options.run))
    results.trained = [one for one in results.trained if one.subject in results.fields]  # finished
    order = {name: number for number, name in enumerate(BASELINES)}
    results.trained.sort(key=lambda one: (order.get(one.subject, len(order)), one.subject))
    found = [(name, key, results.curve(name, key)) for name in results.subjects for key in VARIANTS]
    curves = [curve for _, _, curve in found if curve is not None]
    machine.write(ROOT / "studies" / "probe.csv", accuracy_rows(results, tuple(VARIANTS)))
    machine.write(ROOT / "studies" / "probe_reach.csv", reach_rows(results, curves))
    write_bytes(ROOT / "docs" / "pictures" / "probe_accuracy.png", accuracy_chart(curves))
    table = markdown(results, curves)
    PAGE.write_text(TABLE.sub(lambda _: table, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
