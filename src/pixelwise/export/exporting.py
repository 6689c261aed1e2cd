"""`pixelwise.export`: a network as a file that other programs run, proven or refused."""

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.export.attempt import written
from pixelwise.export.metadata import About, check_replaceable, write
from pixelwise.export.named import FORMATS
from pixelwise.export.network import Exported, prepared, unwrapped
from pixelwise.export.onnx_file import operators
from pixelwise.export.proof import Row
from pixelwise.export.report import Report
from pixelwise.export.running import needs_onnx
from pixelwise.networks import single_file
from pixelwise.networks.segmenter import Segmenter

SAVING = ".exporting-"
ABANDONED = 6 * 3600
"""Seconds after which a hidden folder is of an export that was killed."""


def export(
    model: nn.Module,
    path: str | Path,
    *,
    format: str | None = None,
    normalise: bool = False,
    answer: bool = False,
    probabilities: bool = False,
    size: tuple[int, int] | None = None,
    opset: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Write a network to a file, and prove that the file does the same.

    The file is run at five sizes and compared with the network. Where it differs, or cannot run,
    nothing is left and the error names the layer.

    Args:
        model: Of `create_model` or `load`, in any mode and on any device; not changed.
        path: The file: `.onnx`, `.pt2` or `.safetensors`. One that was exported before is replaced.
        format: "onnx", "torch-export" or "safetensors"; None: by the suffix.
        normalise: Take raw values: scale, mean and std are inside.
        answer: End with the task's decoder: classes, values, points.
        probabilities: End with the probability of each class or label.
        size: Fix (height, width), for programs that need it; the batch stays free.
        opset: Version of ONNX's operators; None: the usual one.
        say: Is told what is being done.

    Returns:
        What was compared and written; printed, it is a table.

    Raises:
        InputError: What cannot be, or a file that is not the network.
    """
    form, target = _checked(path, format)
    if answer and probabilities:
        raise InputError("answer=True: the file has one output; leave out probabilities or answer")
    if opset is not None:
        at_least(18, opset=opset)
    if size is not None:
        at_least(1, height=size[0], width=size[1])
    if form == "onnx":
        needs_onnx(target)
    network = prepared(unwrapped(model))
    config = network.described()
    if form == "safetensors" and (normalise or answer or probabilities or size):
        raise InputError(
            "format='safetensors': holds weights only; leave out normalise, answer,"
            " probabilities and size"
        )
    output = "answer" if answer else "probabilities" if probabilities else "logits"
    about = About(config, normalise, output, size)
    _make_folder(target)
    _clean(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=SAVING) as hidden:
        made = Path(hidden) / target.name
        rows: list[Row] = []
        if form == "safetensors":
            say("writing")
            single_file.write(made, about.plain(), network.state_dict())
            _same(made, network)
        else:
            whole = Exported(network, normalise=normalise, output=output)
            rows = written(whole, made, form, size=size, opset=opset, say=say)
            told = tuple({**dataclasses.asdict(row), "size": [*row.size]} for row in rows)
            about = dataclasses.replace(about, proof=told)
            write(made, about)
        found = operators(made) if form == "onnx" else {}
        files = {file.name: file.stat().st_size for file in sorted(Path(hidden).iterdir())}
        files = {target.name: files.pop(target.name), **files}
        for name in reversed(files):  # the file itself last, so that it never stands alone
            (Path(hidden) / name).replace(target.parent / name)
    return Report(target, about, rows, files, found)


def _same(path: Path, network: Segmenter) -> None:
    """Read weights again and compare each."""
    found = single_file.read(path).state_dict()
    for name, tensor in network.state_dict().items():
        if not torch.equal(found[name], tensor):
            raise InputError(f"{path.name}: {name} differs when read again; check the disk")


def _checked(path: str | Path, form: str | None) -> tuple[str, Path]:
    """The format, and where the file goes.

    Raises:
        InputError: No such format, another suffix, or a file of somebody else.
    """
    target = Path(path)
    if form is not None:
        one_of(tuple(FORMATS), format=form)
    by_suffix = {suffix: name for name, suffix in FORMATS.items()}
    known = by_suffix.get(target.suffix)
    if known is None or form not in (None, known):
        wanted = FORMATS[form] if form else ", ".join(by_suffix)
        raise InputError(
            f"out={str(path)!r}: must end in {wanted}"
            + (f" for format {form!r}" if form else "")
            + "; rename it, or give another --format"
        )
    if target.is_dir():
        raise InputError(f"out={str(path)!r}: is a folder; name a file")
    check_replaceable(target)
    return known, target


def _clean(folder: Path) -> None:
    """Remove what exports left that were killed long ago."""
    for left in folder.glob(f"{SAVING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left)


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{target.parent}: cannot be made ({error.strerror}); choose another --out"
        ) from error
