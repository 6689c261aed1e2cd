"""`pixelwise export`: a network as a file that other programs run."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from pixelwise.checks import one_of, parse_size
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_data, check_model, is_hub_name
from pixelwise.cli.parsing import command_parser, parse
from pixelwise.errors import InputError
from pixelwise.evaluating.named_data import data_of
from pixelwise.export.named import FORMATS
from pixelwise.language import translate

TEXT = """Write a network as a file for other programs, with free batch, height and width, and prove
it: the file is run at five sizes and compared with the network. A file that differs is refused."""
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
    parser.add_argument("--half", action="store_true", help="write NAME_half.onnx too, in float16")
    parser.add_argument(
        "--quantize", type=str | None, help="int8: write NAME_int8.onnx too, in 8 bits"
    )
    parser.add_argument(
        "--data",
        type=str | None,
        help="for --half and --quantize: data set to measure ranges and scores on; default: the"
        " run's own",
    )
    parser.add_argument("--opset", type=int | None, help="version of ONNX's operators")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    one_of(tuple(FORMATS), format=found.format)
    size = parse_size(size=found.size or QGIS) if found.size or found.qgis else None
    if found.qgis and (found.format != "onnx" or found.answer or (size and size[0] != size[1])):
        raise InputError(
            "qgis: Deepness reads ONNX files of square tiles that give probabilities; leave out"
            " --format, --answer and --size"
        )
    form = _form(found)
    check_model(found.run)
    data = found.data or _own_data(found.run, form)
    if form is not None and data is not None:
        check_data(data)
    if found.out is None and is_hub_name(found.run) and not Path(found.run).exists():
        raise InputError(f"{found.run}: is on the Hub; say where to write: --out FILE")
    default = Path(found.run) / "export" / f"model{FORMATS[found.format]}"
    out = Path(found.out) if found.out else default
    with Console(quiet=found.quiet) as console:
        from pixelwise.export.exporting import export
        from pixelwise.networks.segmenter import load

        if form is not None:
            from pixelwise.evaluating.precision import LOSS, lower, name_of
            from pixelwise.export.metadata import check_replaceable

            check_replaceable(name_of(out, form))
        model = load(found.run)
        config = model.config
        console.say(
            translate("model      {arch} on {backbone}, {task}").format(
                arch=config.arch, backbone=config.backbone, task=config.task
            )
        )
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
        if form is not None:
            lowered = lower(report.path, form, data, console)
            console.say(str(lowered))
            if lowered.loss > LOSS:
                console.warn(
                    translate(
                        "{form} loses {loss:.1f} % of the score; take the file in float32 where"
                        " that is too much"
                    ).format(form=form, loss=100 * lowered.loss)
                )
            print(translate("in fewer bits: {path}").format(path=lowered.after.path))
    print(
        translate("exported, worst difference {worst:.1e}: {path}").format(
            worst=report.worst, path=report.path
        )
    )
    return 0


def _form(found: Namespace) -> str | None:
    """In which precision a second file is asked for, if any.

    Raises:
        InputError: Options that do not go together.
    """
    if found.quantize is not None:
        one_of(("int8",), quantize=found.quantize)
    if found.half and found.quantize:
        raise InputError("half: the second file has one precision; leave out --quantize or --half")
    form = "half" if found.half else found.quantize
    if form and found.format != "onnx":
        raise InputError(f"{form}: is for ONNX files; leave out --format {found.format}")
    if found.data is not None and form is None:
        raise InputError(f"data={found.data!r}: is for --half and --quantize; leave it out")
    return form


def _own_data(run: str, form: str | None) -> str | None:
    """The data of the run; for float16 there need not be any.

    Raises:
        InputError: There is none, but int8 needs some.
    """
    if form is None:
        return None
    try:
        return data_of([run])
    except InputError:
        if form == "half":
            return None
        raise
