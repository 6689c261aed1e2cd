"""Every layer and network through the export formats, at five sizes: a CSV of errors and refusals.

python studies/export_matrix.py --only psa_s isa     # these again; the other rows stay
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

import torch

from export_cases import SIZES, cases
from pixelwise.export.onnx_file import write_onnx
from pixelwise.export.program import traced
from pixelwise.export.proof import TOLERANCE
from pixelwise.export.running import loaded

OUT = Path(__file__).with_suffix(".csv")
FORMATS = ("torch-export", "onnx", "openvino")
COLUMNS = ["kind", "name", "format", "result", "worst", *SIZES["layer"], "versions", "reason"]
AT_ONCE = 12
SECONDS = 240.0


def runner(format, program, folder):
    """An exported program in one of the formats: a function of the tensors it takes."""
    if format == "torch-export":
        return program.module()
    file = folder / "model.onnx"
    if format == "onnx":
        write_onnx(program, file)
        run = loaded(file, "onnx")
        return lambda *given: run(*given)[0]
    if not file.exists():
        raise FileNotFoundError("there is no ONNX file to read")
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(file), "CPU", settings)
    return lambda *given: torch.from_numpy(compiled([x.numpy() for x in given])[0].copy())


def difference(one, other):
    """The largest difference, of the range of `other`."""
    if one.shape != other.shape:
        raise ValueError(f"answers {tuple(one.shape)}, not {tuple(other.shape)}")
    return float((one - other).abs().max() / (other.max() - other.min()))


def told(error):
    """One line of an exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    deeper = f" <- {told(cause)}" if cause is not None else ""
    return f"{type(error).__name__}: {' '.join(lines[:3])}"[:400] + deeper


@torch.no_grad()
def rows_of(case):
    """A row for each format."""
    model = case.built()
    given = {size: case.inputs(model, size) for size in SIZES[case.kind]}
    wanted = {size: model(*given[size]) for size in given}
    free = tuple(dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC) for _ in given["sample"])
    if len(free) == 2:  # the sizes of the second follow from those of the first
        free = tuple(dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO) for _ in free)
    row = {"kind": case.kind, "name": case.name}
    try:
        program = traced(model, given["sample"], free)
    except Exception as error:
        for format in FORMATS:
            yield row | {"format": format, "result": "refused", "reason": told(error)}
        return
    with tempfile.TemporaryDirectory() as folder:
        for format in FORMATS:
            yield row | {"format": format} | measured(format, program, Path(folder), given, wanted)


def measured(format, program, folder, given, wanted):
    try:
        run = runner(format, program, folder)
    except Exception as error:
        return {"result": "refused", "reason": told(error)}
    errors, reasons = {}, []
    for size in given:
        try:
            errors[size] = difference(run(*given[size]), wanted[size])
        except Exception as error:
            reasons.append(f"{size}: {told(error)}")
    worst = max(errors.values(), default=float("inf"))
    reasons += [f"{size}: differs by {e:.0e}" for size, e in errors.items() if not e <= TOLERANCE]
    return {"result": "refused" if reasons else "yes", "worst": worst, **errors} | {
        "reason": "; ".join(reasons)
    }


def children(names):
    """Rows of the cases, a process for a few of them; a crash costs the case it was in."""
    left = list(names)
    while left:
        some, done = left[:AT_ONCE], []
        command = [sys.executable, __file__, "--child", *some]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            watch = subprocess.Popen(  # a case that hangs is ended
                [
                    sys.executable,
                    "-c",
                    f"import time,os; time.sleep({SECONDS * len(some)}); os.kill({child.pid}, 9)",
                ]
            )
            for line in child.stdout:
                row = json.loads(line)
                done.append(f"{row['kind']}: {row['name']}")
                yield row
            watch.kill()
            watch.wait()
        finished = set(done) if child.returncode == 0 else {n for n in done if done.count(n) == 3}
        if child.returncode != 0:
            lost = next(name for name in some if name not in finished)
            finished.add(lost)
            for format in FORMATS[done.count(lost) :]:
                kind, _, name = lost.partition(": ")
                why = f"the process ended with code {child.returncode}"
                yield {
                    "kind": kind,
                    "name": name,
                    "format": format,
                    "result": "refused",
                    "reason": why,
                }
        left = [name for name in left if name not in finished]


def versions():
    """Of what the rows depend on."""
    found = {name: metadata.version(name) for name in ("torch", "onnxruntime", "openvino")}
    return ", ".join(f"{name} {version.partition('+')[0]}" for name, version in found.items())


def read():
    with OUT.open(newline="", encoding="utf-8") as file:
        return {(row["kind"], row["name"], row["format"]): row for row in csv.DictReader(file)}


def write(rows):
    order = {(c.kind, c.name, f): None for c in cases() for f in FORMATS}
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for key in order:
            if key in rows:
                row = rows[key]
                row["versions"] = row.get("versions") or versions()
                numbers = {k: f"{v:.1e}" for k, v in row.items() if isinstance(v, float)}
                writer.writerow(row | numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=None, help="keys of layers and networks")
    parser.add_argument("--missing", action="store_true", help="only what has no rows yet")
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.child is not None:
        for case in cases():
            if case.id in options.child:
                for row in rows_of(case):
                    print(json.dumps(row), flush=True)
        return
    rows = read() if OUT.exists() else {}
    chosen = [
        c
        for c in cases()
        if options.only is None or c.key in options.only or c.name in options.only
    ]
    if options.missing:
        chosen = [c for c in chosen if (c.kind, c.name, FORMATS[-1]) not in rows]
    # What counts most first, and what takes minutes last.
    chosen.sort(key=lambda c: (c.key == "acmix_resnet", bool(c.options), c.kind == "layer"))
    for row in children([case.id for case in chosen]):
        rows[row["kind"], row["name"], row["format"]] = row
        write(rows)
        print(
            row["name"],
            row["format"],
            row["result"],
            row.get("worst", ""),
            row["reason"][:300],
            flush=True,
        )


if __name__ == "__main__":
    main()
