"""What networks do to themselves after an insertion, and whether the insertion lives through it.

python studies/insertion_hosts.py --jobs 2          every host, layer and way: ten minutes
python studies/insertion_hosts.py --missing         only rows that the file lacks
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
from survival import (  # noqa: E402
    FEW,
    IDENTITIES,
    LAYERS,
    LONG,
    NEWER,
    TOLERANCE,
    WAYS,
    Case,
    layers_of,
    verdict,
)

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
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

HEAD = """# Insertion in {hosts} networks

Written by `python studies/insertion_hosts.py --page` from
[insertion_hosts.csv](../studies/insertion_hosts.csv), which `python studies/insertion_hosts.py`
measures; `tests/insertion/test_hosts.py` goes most of the ways again. On a CPU, with random weights
and small pictures, with {versions}.

Every network gets each of {layers} layers at the places named below: behind a norm that fusing
takes away, at the end of a stage, behind blocks of tokens. Each row of the file is one network with
one layer. {few} of the networks also get each of {newer} [newer layers](#newer-layers).

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

NEWER_HEAD = """
## Newer layers

{newer} layers that came later, in {few} networks of several makers, with channels first, channels
last and tokens. Places, ways and limits are those above. Each layer goes the last three ways in one
of the networks. Two layers have an option: by default `scsa` needs maps of at least 7x7 pixels,
where most of these networks have fewer rows, and `shuffle` needs a multiple of 16 channels, where
some have 24.

{summary}
"""


def turns(name):
    """The layers with which a host goes the long ways: one of every third, and newer ones."""
    number, rest = divmod(list(HOSTS).index(name), 3)
    old = () if rest else (LAYERS[number % len(LAYERS)],)
    return (*old, *NEWER[FEW.index(name) :: len(FEW)]) if name in FEW else old


def rows_of(work):
    """A row of a host for every layer, the ways that are wanted."""
    name, layers, ways = work
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        case = Case(HOSTS[name])
    except Skipped as reason:
        print(f"{name}: {reason}", file=sys.stderr)
        return []
    package = PACKAGES.get(name.split()[0])
    rows = []
    for layer in layers:
        gone = tuple(w for w in ways if w not in LONG or layer in turns(name))
        if not gone:
            continue
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


def outcome(rows):
    """What came of all cells, in two sentences."""
    total = dict.fromkeys(KINDS, 0)
    for way in WAYS:
        for kind, count in counts(rows, way).items():
            total[kind] += count
    equal = sum(starts(row) == 0 for row in rows)
    keys = sum(row["keys"] != "changed" for row in rows)
    return (
        f"**{equal:,} of {len(rows):,} rows are bit-equal at the start, and {keys:,} keep every"
        f" key.** Of {sum(total.values()):,} cells, {total['kept']:,} kept the insertion,"
        f" {total['stop']:,} stopped with one line, {total['host']:,} are ways that the network"
        f" alone cannot go, {total['error']:,} ended in another error, and **{total['lost']:,} lost"
        " a layer in silence**."
    )


def before_and_now(rows):
    """What came of the cells before hosts were watched."""
    told = [
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


def page(found):
    """The page's text."""
    rows = [row for row in found if row["layer"] in LAYERS]
    newer = [row for row in found if row["layer"] in NEWER]
    hosts, reasons = grouped(rows, "host"), {}
    packages = sorted({row["package"] for row in found if row["package"]})
    least = min(float(row["effect"]) for row in found)
    many = {"layers": len(LAYERS), "newer": len(NEWER)}
    head = HEAD.format(
        hosts=len(hosts),
        versions=", ".join([f"torch {rows[0]['torch']}", *packages]),
        effect=shown(least),
        tolerance=TOLERANCE,
        summary=f"{outcome(rows)}\n\n{before_and_now(rows)}",
        few=NUMBERS[len(FEW)].capitalize(),
        **many,
    )
    lines = [head.rstrip(), TELL.rstrip(), "", "## By network", ""]
    lines += table("network", hosts, reasons)
    lines += ["", "## By layer", ""]
    lines += table("layer", grouped(rows, "layer"), reasons)
    few = NUMBERS[len(FEW)]
    lines += [NEWER_HEAD.format(few=few, summary=outcome(newer), **many).rstrip(), ""]
    lines += table("network", grouped(newer, "host"), reasons)
    lines += [""]
    lines += table("layer", grouped(newer, "layer"), reasons)
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
    parser.add_argument("--missing", action="store_true", help="only rows that are not there yet")
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args()
    rows = {}
    for row in read(options.out) if options.out.exists() else ():
        rows[row["host"], row["layer"]] = row
    if not options.page:
        work = []
        for name in options.hosts:
            known = [layer for host, layer in rows if host == name and options.missing]
            layers = [layer for layer in layers_of(name) if layer not in known]
            work += [(name, layers, tuple(options.ways))] if layers else []
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            for found in pool.imap_unordered(rows_of, work):
                for row in found:
                    key = row["host"], row["layer"]
                    rows[key] = rows.get(key, {}) | machine.about() | row
                order = [(name, layer) for name in HOSTS for layer in layers_of(name)]
                ordered = sorted(rows, key=order.index)
                machine.write(options.out, [rows[key] for key in ordered])
    if options.page or options.out == ROWS:
        PAGE.write_text(page(read()), encoding="utf-8")


if __name__ == "__main__":
    main()
