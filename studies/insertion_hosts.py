"""What networks do to themselves after an insertion, and whether the insertion lives through it.

python studies/insertion_hosts.py --jobs 2          every host, layer and way: ten minutes
python studies/insertion_hosts.py --page            docs/insertion-hosts.md from the rows

The hosts and the ways are those of tests/insertion. Networks of packages that are not installed
are left out.
"""

import argparse
import csv
import multiprocessing
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "insertion"))

import torch  # noqa: E402
from _pytest.outcomes import Skipped  # noqa: E402
from survival import IDENTITIES, LAYERS, LONG, TOLERANCE, WAYS, Case, verdict  # noqa: E402

import machine  # noqa: E402
from hosts import HOSTS  # noqa: E402

PAGE = ROOT / "docs" / "insertion-hosts.md"
ROWS = Path(__file__).with_name("insertion_hosts.csv")
BEFORE = Path(__file__).with_name("insertion_hosts_before.csv")
PACKAGES = {
    "hf": "transformers",
    "smp": "segmentation_models_pytorch",
    **{name: name for name in ("timm", "torchvision", "ultralytics", "monai")},
}
COLUMNS = ("start", *WAYS)
KINDS = ("kept", "stop", "host", "lost", "error")

HEAD = """# Insertion in {hosts} networks

Written by `python studies/insertion_hosts.py --page` from
[insertion_hosts.csv](../studies/insertion_hosts.csv), which `python studies/insertion_hosts.py`
measures; `tests/insertion/test_hosts.py` goes most of the ways again. On a CPU, with random weights
and small pictures, with {versions}.

Every network gets each of {layers} layers at the places named below: behind a norm that fusing
takes away, at the end of a stage, behind blocks of tokens. Each row of the file is one network with
one layer.

1. **At the start** the output is compared with the network's own, in eval and in train mode, to the
   last bit. Its keys and values in `state_dict` must be as before, and its own checkpoint must load
   strictly.
2. Then all gains are set to values that count. The output moves by at least {effect} of its range
   where any one of the layers is left out.
3. With these gains the network goes each way. A cell is the largest difference of the output from
   that before, relative to its range, over the {layers} layers. Up to {tolerance:.0e} the insertion
   is kept; in bfloat16, up to what that type rounds in such networks (0.2), and each layer must
   run.

"stop" is one line of error, in place of wrong numbers; the number leads to the reason. "-" is a way
that the network alone cannot go, or that changes its own output.

{summary}
"""

TELL = """
- **state_dict**: saved, and loaded strictly into another copy with the same insertions.
- **torch.save**: the whole network, pickled.
- **EMA**: `torch.optim.swa_utils.AveragedModel` of another copy.
- **SyncBatchNorm**: `nn.SyncBatchNorm.convert_sync_batchnorm`, which replaces the norms.
- **own fuse**: the network's own `fuse()` or `fuse_model()`, or `timm.utils.reparameterize_model`
  where its blocks can be fused.
- **fx fuse**: `torch.fx.experimental.optimization.fuse`.
- **fold**: `pixelwise.fold`.
- **compile**: `torch.compile(backend="eager")`, **torch.export**, and **ONNX** in ONNX Runtime:
  every third network, with one of the layers in turn.
"""


def turns(name):
    """The layer with which a host goes the long ways, or None."""
    number, rest = divmod(list(HOSTS).index(name), 3)
    return None if rest else LAYERS[number % len(LAYERS)]


def rows_of(work):
    """A row of a host for every layer, the ways that are wanted."""
    name, ways = work
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        case = Case(HOSTS[name])
    except Skipped as reason:
        print(f"{name}: {reason}", file=sys.stderr)
        return []
    package = PACKAGES.get(name.split()[0])
    rows = []
    for layer in LAYERS:
        gone = tuple(w for w in ways if w not in LONG or layer == turns(name))
        found = case.row(layer, gone)
        row = {"host": name, "package": f"{package} {version(package)}" if package else ""}
        row |= {"layer": layer, "gain": "own" if layer in IDENTITIES else "scalar"}
        row |= {k: f"{v:.1e}" if isinstance(v, float) else v for k, v in found.items()}
        rows.append(row)
    print(name, flush=True)
    return rows


def read(path=ROWS):
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def value(text):
    """A cell as it was measured: a number or a line."""
    try:
        return float(text)
    except ValueError:
        return text


def counts(rows, way):
    """How many cells are of which kind."""
    found = dict.fromkeys(KINDS, 0)
    for row in rows:
        if row.get(way):
            found[verdict(way, value(row[way]))] += 1
    return found


def starts(row):
    """The larger difference at the start."""
    return max(float(row["start, eval"]), float(row["start, train"]))


def shown(number):
    return "0" if number == 0 else f"{number:.0e}"


def cell(rows, way, reasons):
    """What a table says of a way of some rows."""
    if way == "start":
        return shown(max(map(starts, rows)))
    values = [value(row[way]) for row in rows if row.get(way)]
    if not values:
        return ""
    kinds = [verdict(way, v) for v in values]
    parts = []
    if numbers := [v for v in values if isinstance(v, float)]:
        parts.append(shown(max(numbers)) + (" lost" if "lost" in kinds else ""))
    for v, kind in zip(values, kinds, strict=True):
        if kind in ("stop", "error"):
            said = v.removeprefix("stop: ")
            where = reasons.setdefault(kind_of(said), (len(reasons) + 1, said))[0]
            part = f"{kind} [{where}](#reasons)"
            parts += [part] if part not in parts else []
    return ", ".join(parts) if parts else "-"


def kind_of(line):
    """A line without what it says of the place and the layer."""
    return line.partition(": ")[2] or line


def table(head, groups, reasons):
    """Lines of a table of groups of rows."""
    yield f"| {head} | {' | '.join(COLUMNS)} |"
    yield "| --- |" + " --- |" * len(COLUMNS)
    for name, rows in groups.items():
        yield f"| {name} | {' | '.join(cell(rows, way, reasons) for way in COLUMNS)} |"


def grouped(rows, name):
    groups = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def summary(rows):
    """What came of all cells, and what came of them before hosts were watched."""
    total = dict.fromkeys(KINDS, 0)
    for way in WAYS:
        for kind, count in counts(rows, way).items():
            total[kind] += count
    equal = sum(starts(row) == 0 for row in rows)
    keys = sum(row["keys"] != "changed" for row in rows)
    told = [
        f"**{equal:,} of {len(rows):,} rows are bit-equal at the start, and {keys:,} keep every"
        f" key.** Of {sum(total.values()):,} cells, {total['kept']:,} kept the insertion,"
        f" {total['stop']:,} stopped with one line, {total['host']:,} are ways that the network"
        f" alone cannot go, {total['error']:,} ended in another error, and **{total['lost']:,} lost"
        " a layer in silence**.",
        "",
        "Before insertions watched their host, the same cells were"
        " ([insertion_hosts_before.csv](../studies/insertion_hosts_before.csv)):",
        "",
        "| way | kept | stop | lost | other error | now: kept | stop | lost | other error |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    names = ("kept", "stop", "lost", "error")
    measured = {(row["host"], row["layer"]) for row in rows}
    before = [row for row in read(BEFORE) if (row["host"], row["layer"]) in measured]
    for way in (way for way in WAYS if way in before[0]):
        both = [counts(of, way)[name] for of in (before, rows) for name in names]
        told.append(f"| {way} | {' | '.join(map(str, both))} |")
    return "\n".join(told)


def page(rows):
    """The page's text."""
    hosts, reasons = grouped(rows, "host"), {}
    packages = sorted({row["package"] for row in rows if row["package"]})
    least = min(float(row["effect"]) for row in rows)
    head = HEAD.format(
        hosts=len(hosts),
        layers=len(LAYERS),
        versions=", ".join([f"torch {rows[0]['torch']}", *packages]),
        effect=shown(least),
        tolerance=TOLERANCE,
        summary=summary(rows),
    )
    lines = [head.rstrip(), TELL.format(layers=len(LAYERS)).rstrip(), "", "## By network", ""]
    lines += table("network", hosts, reasons)
    lines += ["", "## By layer", ""]
    lines += table("layer", grouped(rows, "layer"), reasons)
    lines += [
        "",
        "## Places",
        "",
        "| network | places | layers | keys |",
        "| --- | --- | --- | --- |",
    ]
    for name, of_host in hosts.items():
        where = ", ".join(f"`{place.pattern}`" for place in HOSTS[name].places)
        lines.append(f"| {name} | {where} | {of_host[0]['places']} | {of_host[0]['keys']} |")
    if reasons:
        lines += ["", "## Reasons", ""]
        lines += [f"{number}. `{said}`" for number, said in reasons.values()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", nargs="*", default=list(HOSTS), choices=list(HOSTS))
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROWS, help="rows that it has are kept")
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args()
    rows = {}
    for row in read(options.out) if options.out.exists() else ():
        rows[row["host"], row["layer"]] = row
    if not options.page:
        work = [(name, tuple(options.ways)) for name in options.hosts]
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            for found in pool.imap_unordered(rows_of, work):
                for row in found:
                    key = row["host"], row["layer"]
                    rows[key] = rows.get(key, {}) | machine.about() | row
                places = list(HOSTS)
                ordered = sorted(rows, key=lambda k: (places.index(k[0]), LAYERS.index(k[1])))
                machine.write(options.out, [rows[key] for key in ordered])
    if options.page or options.out == ROWS:
        PAGE.write_text(page(read()), encoding="utf-8")


if __name__ == "__main__":
    main()
