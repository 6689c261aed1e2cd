"""`pixelwise export`: a network as a file that other programs run."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.checks import one_of, parse_size
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_model, is_hub_name
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError

TEXT = """Write a network as a file for other programs, with free batch, height and width, and prove
it: the file is run at five sizes and compared with the network. A file that differs is refused."""
SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}
QGIS = "512"


def main(arguments: Sequence[str]) -> int:
    """Export; returns the exit code."""
    parser = command_parser("export", TEXT)
    parser.add_argument(
        "run", type=str, help="folder of a run or model, or OWNER/NAME on the Hugging Face Hub"
    )
    parser.add_argument(
        "--format", type=str, default="onnx", help="onnx, torch-export or safetensors"
    )
    parser.add_argument(
        "--out", type=str | None, help="file to write; default: RUN/export/model.onnx"
    )
    parser.add_argument(
        "--normalise", action="store_true", help="take raw values: scale, mean and std inside"
    )
    parser.add_argument(
        "--answer", action="store_true", help="give classes, values or points, by the task"
    )
    parser.add_argument(
        "--probabilities", action="store_true", help="give the probability of each class"
    )
    parser.add_argument(
        "--size", type=str | None, help="fix HEIGHTxWIDTH, for programs that need it"
    )
    parser.add_argument(
        "--qgis",
        action="store_true",
        help="for QGIS' Deepness: --normalise --probabilities --size 512",
    )
    parser.add_argument("--opset", type=int | None, help="version of ONNX's operators")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    one_of(tuple(SUFFIXES), format=found.format)
    size = parse_size(size=found.size or QGIS) if found.size or found.qgis else None
    if found.qgis and (found.format != "onnx" or found.answer or (size and size[0] != size[1])):
        raise InputError(
            "qgis: Deepness reads ONNX files of square tiles that give probabilities; leave out"
            " --format, --answer and --size"
        )
    check_model(found.run)
    if found.out is None and is_hub_name(found.run) and not Path(found.run).exists():
        raise InputError(f"{found.run}: is on the Hub; say where to write: --out FILE")
    default = Path(found.run) / "export" / f"model{SUFFIXES[found.format]}"
    out = Path(found.out) if found.out else default
    with Console(quiet=found.quiet) as console:
        from pixelwise.export.exporting import export
        from pixelwise.networks.segmenter import load

        model = load(found.run)
        config = model.config
        console.say(f"model      {config.arch} on {config.backbone}, {config.task}")
        report = export(
            model,
            out,
            format=found.format,
            normalise=found.normalise or found.qgis,
            answer=found.answer,
            probabilities=found.probabilities or found.qgis,
            size=size,
            opset=found.opset,
            say=console.say,
        )
        console.say(str(report))
    print(f"exported, worst difference {report.worst:.1e}: {report.path}")
    return 0
