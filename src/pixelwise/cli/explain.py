"""`pixelwise explain`: where a network looks for pixels of a picture."""

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelwise.cli.console import Console
from pixelwise.cli.given import check_model, check_out, check_pictures
from pixelwise.cli.parsing import AS_IS, command_parser, parse
from pixelwise.devices import DEVICES, check_device, pick_device
from pixelwise.errors import InputError, unknown
from pixelwise.outputs import Outputs, check_before
from pixelwise.shortage import told_as_input

if TYPE_CHECKING:
    from torch import Tensor

    from pixelwise.explanation.explain import Explanation

TEXT = (
    "Show where a network looks: maps of its attention for pixels of a picture; of a network "
    "without attention, what its answer depends on."
)
SMALLER = "take a smaller picture, or fewer --layers"
LARGEST = 2048
"""Longest side of a picture, which the network sees whole, in pixels."""


def main(arguments: Sequence[str]) -> int:
    """Explain; returns the exit code."""
    parser = command_parser("explain", TEXT)
    parser.add_argument(
        "run", type=str, help="folder of a run or model, or OWNER/NAME on the Hugging Face Hub"
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
    parser.add_argument("--out", type=str | None, help="output folder; default: RUN/explain")
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    found = parse(parser, arguments)
    at = None if found.at is None else _pair(found.at)
    if at is not None and found.point is not None:
        raise InputError(f"at={found.at}: excludes point={found.point!r}; leave one of them out")
    layers = None if found.layers is None else [n.strip() for n in found.layers.split(",")]
    check_device(found.device)
    check_pictures(found.pictures)
    check_model(found.run)
    check_out(found.out, found.run)
    out = Path(found.out) if found.out else Path(found.run) / "explain"
    with Console(quiet=found.quiet) as console:
        import torch

        from pixelwise.explanation.explain import Explanation, explain
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
        index = _class_index(getattr(found, "class"), config.names, max(2, config.num_classes))
        console.say(f"model   {config.arch} on {config.backbone}, {found.run}, on {device}")
        explained = 0
        for file, name in output_names(files, model.task.file_names).items():
            check_before(out / name, "explain", ("look.html", "explain.json"))
            image, missing = read_picture(file, model, as_is=found.as_is)
            height, width = image.shape[-2:]
            console.say(f"picture {file}: {height} rows, {width} columns")
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
                    what = "no point" if found.point is None else f"point {found.point!r}"
                    console.warn(f"{file}: {what} is found there; ask about a pixel with --at")
                    continue
                explanations: list[Explanation] = []
                asked: list[tuple[int, int]] = []
                told: set[str] = set()
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
                    console.say(_line(explanation, asked[-1]))
                    for note in set(explanation.notes) - told:
                        console.warn(f"{file}: {note}")
                    told.update(explanation.notes)
                    console.busy("explaining", done, len(queries))
            explained += 1
            written = _write(out / name, file, explanations, asked)
            count = "1 pixel" if len(queries) == 1 else f"{len(queries)} pixels"
            console.print(f"{count} explained: {written}")
        if at is None and explained:
            console.say(f"next: pixelwise explain {found.run} {files[0]} --at ROW,COLUMN")
    return 0 if explained else 1


def _without_data(file: Path, missing: "Tensor", at: tuple[int, int] | None) -> str:
    """A line on pixels without data, which nobody can ask about."""
    if missing.all():
        raise InputError(f"{file}: no pixel has data; choose another picture")
    rows, columns = missing.shape
    if at is not None and 0 <= at[0] < rows and 0 <= at[1] < columns and missing[at]:
        raise InputError(f"at={at[0]},{at[1]}: has no data in {file}; choose another pixel")
    return (
        f"{file}: {int(missing.sum())} of {missing.numel()} pixels have no data; the network sees "
        "the mean there"
    )


def _pair(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*", text)
    if match is None:
        raise InputError(f"at={text!r}: must be ROW,COLUMN of a pixel; e.g. --at 120,200")
    return int(match[1]), int(match[2])


def _class_index(given: str | None, names: Sequence[str], count: int) -> int | None:
    if given is None or given in names:
        return None if given is None else list(names).index(given)
    if given.isdecimal() and int(given) < count:
        return int(given)
    if given.isdecimal() or not names:
        raise InputError(f"class={given!r}: must be from 0 to {count - 1}; take one of them")
    raise unknown("class", given, names)


def _line(found: "Explanation", asked: tuple[int, int]) -> str:
    row, column = asked
    what = f"{len(found.maps)} maps"
    if not found.maps:
        what = "no attention"
        radii = [] if found.receptive is None else [r.radius for r in found.receptive.reaches]
        if radii and radii[0] is not None:
            what += f": half of what it depends on lies within {radii[0]:.0f} pixels"
    return (
        f"  row {row}, column {column}: {found.class_name} ({100 * found.probability:.0f} %), "
        f"{what}, {found.seconds:.1f} s"
    )


def _write(
    folder: Path,
    picture: Path,
    explanations: Sequence["Explanation"],
    asked: Sequence[tuple[int, int]],
) -> Path:
    """Write the page, a picture per query and the numbers; all of them or none."""
    from pixelwise.explanation.page.numbers import numbers
    from pixelwise.explanation.page.page import save

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".explaining-") as hidden:
        entries = []
        for found, (row, column) in zip(explanations, asked, strict=True):
            plain = re.sub(r"[^\w-]+", "_", found.class_name)
            file = f"{plain}_{row}_{column}.png"
            save([found], Path(hidden) / file)
            entries.append({"file": file, "at_in_picture": [row, column], **numbers(found)})
        save(explanations, Path(hidden) / "look.html")
        text = json.dumps({"picture": str(picture), "queries": entries}, indent=2) + "\n"
        (Path(hidden) / "explain.json").write_text(text, encoding="utf-8")
        files = sorted(Path(hidden).iterdir())
        with Outputs(folder, "explain") as outputs, outputs.writing(*(f.name for f in files)):
            for path in files:
                path.replace(folder / path.name)
    return folder / "look.html"
