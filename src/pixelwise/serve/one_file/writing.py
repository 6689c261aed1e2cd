"""`pixelwise serve RUN --out page.html`: the page, the network and what runs it as one file.

    raw values -> network -> answer, probabilities, inputs of layers      once per picture
    inputs of a layer, row, column -> its map                             at a click

All of it is written as ONNX and proven as `pixelwise export` does.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pixelwise.errors import InputError
from pixelwise.export.network import prepared, unwrapped
from pixelwise.export.running import needs_onnx
from pixelwise.networks.segmenter import Segmenter
from pixelwise.serve.one_file.joining import GENERATOR, joined
from pixelwise.serve.one_file.network import NetworkFiles, network_files
from pixelwise.tasks.class_masks import ClassMasks
from pixelwise.tasks.multilabel.task import Multilabel

MOST_BYTES = 40 << 20
"""Of the file: browsers open larger ones slowly, or not at all."""
MOST_PIXELS = 1 << 19
"""Larger pictures are shrunk: one thread runs the network."""
MOST_CLASSES = 255
BANDS = (1, 3)
BYTE = 255.0
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"})
"""Of pictures that browsers read."""


@dataclass(frozen=True)
class PageReport:
    """What became of a page.

    Args:
        path: The file.
        bytes: Of it.
        layers: Names of the layers that it looks into.
        limits: Why it does not look into others, a line each.
        difference: The largest of the network from the file; see `NetworkFiles`.
        map_difference: The largest of a map, as a part of its largest weight.
    """

    path: Path
    bytes: int
    layers: tuple[str, ...]
    limits: tuple[str, ...]
    difference: float
    map_difference: float


def write_page(
    model: nn.Module,
    path: str | Path,
    *,
    name: str,
    pictures: Sequence[Path] = (),
    half: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> PageReport:
    """Write the page to click as one file that needs no server.

    Args:
        model: Of `create_model` or `load`; not changed.
        path: The file, `.html`. A page that was written before is replaced.
        name: What the page calls the network.
        pictures: Files that go into the page, to choose from.
        half: Keep weights in float16, in half the bytes.
        say: Is told what is being done.

    Raises:
        InputError: A network that browsers cannot run, or a file that would be too large.
    """
    target = Path(path)
    check_target(target)
    needs_onnx(target)
    network = prepared(unwrapped(model))
    _check(network)
    with tempfile.TemporaryDirectory() as folder:
        files = network_files(network, Path(folder), half=half, say=say)
        told = _told(network, files, name, pictures)
        text = joined(told, _parts(files) | _pictures(pictures))
    size = len(text.encode())
    if size > MOST_BYTES:
        remedy = "serve it without --out" if half else "add --half, or serve it without --out"
        remedy = f"give fewer pictures, {remedy}" if pictures else remedy
        raise InputError(
            f"out={str(path)!r}: would have {size / 1e6:.0f} MB, and browsers open"
            f" {MOST_BYTES / 1e6:.0f} MB at most; {remedy}, or take a smaller backbone"
        )
    _replace(target, text)
    return PageReport(
        target,
        size,
        tuple(layer.name for layer in files.layers),
        files.limits,
        files.difference,
        max((layer.difference for layer in files.layers), default=0.0),
    )


def check_target(path: Path) -> None:
    """Raise an InputError where a page cannot or must not be written."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"out={str(path)!r}: must end in .html; rename it")
    if path.is_dir():
        raise InputError(f"out={str(path)!r}: is a folder; name a file")
    if path.exists() or path.is_symlink():
        try:
            ours = f'content="{GENERATOR}"' in path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); choose another --out"
            ) from error
        if not ours:
            raise InputError(
                f"{path}: stands there, and is no page that pixelwise serve wrote; choose another"
                " --out, or move it away"
            )


def _check(model: Segmenter) -> None:
    """Raise an InputError for what a page in a browser cannot show."""
    config = model.config
    instead = "serve it without --out"
    if not isinstance(model.task, ClassMasks | Multilabel):
        raise InputError(
            f"out: one file shows classes and labels, not task {config.task!r}; {instead}"
        )
    if config.num_classes > MOST_CLASSES:
        raise InputError(f"out: one file shows {MOST_CLASSES} classes at most; {instead}")
    if (
        config.in_channels not in BANDS
        or (config.bands or (0, 1, 2)[: config.in_channels]) != ((0, 1, 2)[: config.in_channels])
    ):
        raise InputError(
            f"out: browsers give grey or colours, but the network takes {config.in_channels}"
            f" bands; {instead}"
        )
    if config.scale != BYTE:
        raise InputError(
            f"out: browsers give values of 8 bits, but here {config.scale:g} means 1; {instead}"
        )


def _told(
    model: Segmenter, files: NetworkFiles, name: str, pictures: Sequence[Path]
) -> dict[str, Any]:
    """What `onnx_source.js` must know."""
    task = model.task
    assert isinstance(task, ClassMasks | Multilabel)
    thresholds = None
    if isinstance(task, Multilabel):
        thresholds = task.thresholds or (0.5,) * model.config.num_classes
    classes = [
        {"name": label, "color": list(colour)}
        for label, colour in zip(task.names, task.palette, strict=False)
    ]
    config = model.config
    return {
        "description": {
            "task": config.task,
            "runs": [{"name": name, "arch": config.arch, "backbone": config.backbone}],
            "classes": classes,
            "units": [],
            "none": 255,
            "accepts": ",".join(sorted(SUFFIXES)),
            "maxBytes": 100 << 20,
            "maxPixels": 100_000_000,
            "canSave": False,
            "saveTo": None,
            "limits": list(files.limits),
        },
        "pictures": [{"index": i, "name": path.name} for i, path in enumerate(pictures)],
        "thresholds": thresholds,
        "multiple": model.multiple,
        "bands": config.in_channels,
        "mostPixels": MOST_PIXELS,
        "network": "network",
        "layers": [
            {
                "name": layer.name,
                "key": layer.key,
                "kind": layer.kind,
                "placed": layer.placed,
                "inputs": layer.inputs,
                "handed": list(layer.handed),
                "prepare": None if layer.prepare is None else f"prepare{number}",
                "look": f"look{number}",
            }
            for number, layer in enumerate(files.layers)
        ],
    }


def _parts(files: NetworkFiles) -> dict[str, bytes]:
    """Name -> bytes, as `_told` names them."""
    parts = {"network": files.whole.read_bytes()}
    for number, layer in enumerate(files.layers):
        parts[f"look{number}"] = layer.look.read_bytes()
        if layer.prepare is not None:
            parts[f"prepare{number}"] = layer.prepare.read_bytes()
    return parts


def _pictures(pictures: Sequence[Path]) -> dict[str, bytes]:
    try:
        return {f"picture{i}": path.read_bytes() for i, path in enumerate(pictures)}
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); check the path"
        ) from error


def _replace(target: Path, text: str) -> None:
    """Write a file as a whole, or nothing."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".serving-") as hidden:
            made = Path(hidden) / target.name
            made.write_text(text, encoding="utf-8", newline="\n")
            made.replace(target)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); choose another --out"
        ) from error
