"""`pixelwise explain`: where a network looks for pixels of a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelwise.cli.console import Console
from pixelwise.cli.explain_host import explain_host, names_host
from pixelwise.cli.explained import LARGEST, class_index, line_of, pixel_of, write
from pixelwise.cli.given import check_model, check_out, check_pictures, refuse_given
from pixelwise.cli.parsing import AS_IS, command_parser, parse
from pixelwise.devices import DEVICES, check_device, pick_device
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.outputs import check_before
from pixelwise.shortage import told_as_input

if TYPE_CHECKING:
    from torch import Tensor


TEXT = (
    "Show where a network looks: maps of its attention for pixels of a picture; of a network "
    "without attention, what its answer depends on."
)
SMALLER = "take a smaller picture, or fewer --layers"


def main(arguments: Sequence[str]) -> int:
    """Explain; returns the exit code."""
    parser = command_parser("explain", TEXT)
    parser.add_argument(
        "run",
        type=str,
        help="folder of a run or model, OWNER/NAME on the Hugging Face Hub, timm model, or"
        " FILE.py:NAME",
    )
    parser.add_argument("pictures", nargs="+", help="picture files, folders, or quoted patterns")
    parser.add_argument(
        "--at", type=str | None, help="pixel to explain, ROW,COLUMN; default: one per class"
    )
    parser.add_argument(
        "--point", type=str | None, help="explain where this point is found; default: all points"
    )
    parser.add_argument(
        "--layers", type=str | None, help="names of layers, separated by commas; default: all"
    )
    parser.add_argument(
        "--class", type=str | None, help="class (name or number) to draw class maps of"
    )
    parser.add_argument(
        "--class-maps", action="store_true", help="also draw which regions speak for a class"
    )
    parser.add_argument(
        "--receptive-field",
        action="store_true",
        help="also draw what the answer depends on, by gradients; always without attention",
    )
    parser.add_argument(
        "--no-deletion",
        action="store_true",
        help="cover no parts of the picture, the slowest test",
    )
    parser.add_argument(
        "--size", type=str | None, help="HEIGHTxWIDTH that a timm model or FILE.py:NAME is given"
    )
    parser.add_argument(
        "--checkpoint", type=str | None, help="file of weights for a timm model or FILE.py:NAME"
    )
    parser.add_argument("--pretrained", action="store_true", help="load timm's pretrained weights")
    parser.add_argument("--out", type=str | None, help="output folder; default: RUN/explain")
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    at = None if found.at is None else pixel_of(found.at)
    if at is not None and found.point is not None:
        raise InputError(f"at={found.at}: excludes point={found.point!r}; leave one of them out")
    layers = None if found.layers is None else [n.strip() for n in found.layers.split(",")]
    check_device(found.device)
    check_pictures(found.pictures)
    if names_host(found.run):
        return explain_host(found, at, layers)
    usual = {"size": None, "checkpoint": None, "pretrained": False}
    refuse_given(found, usual, "is for a timm model or FILE.py:NAME; leave it out")
    check_model(found.run)
    check_out(found.out, found.run)
    out = Path(found.out) if found.out else Path(found.run) / "explain"
    with Console(quiet=found.quiet) as console:
        import torch

        from pixelwise.explanation.explain import Explanation, explain
        from pixelwise.explanation.page.wording import grouped
        from pixelwise.explanation.queries import automatic_queries
        from pixelwise.explanation.question import check_pixel
        from pixelwise.networks.segmenter import load
        from pixelwise.pictures import displayable
        from pixelwise.predict.images import (
            find_pictures,
            network_input,
            output_names,
            predict_answer,
            read_picture,
            seen_of,
        )

        device = pick_device(found.device)
        files = find_pictures(found.pictures)
        model = load(found.run).to(device)
        config = model.config
        index = class_index(getattr(found, "class"), config.names, max(2, config.num_classes))
        console.say(
            translate("model   {arch} on {backbone}, {run}, on {device}").format(
                arch=config.arch, backbone=config.backbone, run=found.run, device=device
            )
        )
        explained = 0
        for file, name in output_names(files, model.task.file_names).items():
            check_before(out / name, "explain", ("look.html", "explain.json"))
            image, missing = read_picture(file, model, as_is=found.as_is)
            height, width = image.shape[-2:]
            console.say(
                translate("picture {file}: {height} rows, {width} columns").format(
                    file=file, height=height, width=width
                )
            )
            if max(height, width) > LARGEST:
                raise InputError(
                    f"{file}: {height} rows and {width} columns, but a picture to explain goes in "
                    f"whole and may have {LARGEST}; cut out or shrink what you ask about"
                )
            if missing is not None:
                console.warn(_without_data(file, missing, at))
            with told_as_input(f"{file}: {height} rows, {width} columns: {SMALLER}"):
                query_at = None
                if at is not None:
                    check_pixel(at, (height, width))
                    query_at = model.task.seen_at(at, (height, width))
                kind, image = image.dtype, seen_of(model, image)
                shown = image
                if kind == torch.uint8 != image.dtype:  # as it was, not stretched
                    shown = image.round().clamp(0, 255).to(kind)
                if query_at is None:
                    answer = predict_answer(model, image, window=None)
                    queries = model.task.queries(answer, found.point)
                    if queries is None:
                        known = answer if missing is None else answer.masked_fill(missing, -1)
                        ignore = None if missing is None else -1
                        queries = [(q, None) for q in automatic_queries(known, ignore=ignore)]
                else:
                    queries = [(query_at, None)]
                if not queries:
                    what = (
                        translate("no point")
                        if found.point is None
                        else translate("point {point!r}").format(point=found.point)
                    )
                    console.warn(
                        translate(
                            "{file}: {what} is found there; ask about a pixel with --at"
                        ).format(file=file, what=what)
                    )
                    continue
                explanations: list[Explanation] = []
                asked: list[tuple[int, int]] = []
                for done, (query, output) in enumerate(queries, start=1):
                    explanation = explain(
                        model,
                        network_input(model, image[None]),
                        query,
                        layers=layers,
                        deletion=not found.no_deletion,
                        class_maps=found.class_maps or index is not None,
                        receptive_field=found.receptive_field,
                        class_index=index,
                        output=output,
                        picture=displayable(shown),
                    )
                    explanations.append(explanation)
                    asked.append(model.task.seen_from(query, (height, width)))
                    console.say(line_of(explanation, asked[-1]))
                    console.busy("explaining", done, len(queries))
            for note in grouped(note for one in explanations for note in one.notes):
                console.warn(f"{file}: {note}")
            explained += 1
            written = write(out / name, file, explanations, asked)
            count = (
                translate("1 pixel")
                if len(queries) == 1
                else translate("{queries} pixels").format(queries=len(queries))
            )
            console.print(
                translate("{count} explained: {written}").format(count=count, written=written)
            )
        if at is None and explained:
            console.say(
                translate("next: pixelwise explain {run} {files} --at ROW,COLUMN").format(
                    run=found.run, files=files[0]
                )
            )
    return 0 if explained else 1


def _without_data(file: Path, missing: "Tensor", at: tuple[int, int] | None) -> str:
    """A line on pixels without data, which nobody can ask about."""
    if missing.all():
        raise InputError(f"{file}: no pixel has data; choose another picture")
    rows, columns = missing.shape
    if at is not None and 0 <= at[0] < rows and 0 <= at[1] < columns and missing[at]:
        raise InputError(f"at={at[0]},{at[1]}: has no data in {file}; choose another pixel")
    return translate(
        "{file}: {amount} of {numel} pixels have no data; the network sees the mean there"
    ).format(file=file, amount=int(missing.sum()), numel=missing.numel())
