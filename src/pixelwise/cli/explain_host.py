"""`pixelwise explain` for networks that are no runs: of timm, or of a file of one's own."""

import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import Namespace

from pixelwise.checks import parse_size
from pixelwise.cli.console import Console
from pixelwise.cli.explained import LARGEST, class_index, line_of, write
from pixelwise.cli.given import check_out, refuse_given
from pixelwise.cli.hosts import GivenHost, check_host, host_of, is_own
from pixelwise.devices import pick_device
from pixelwise.errors import InputError, in_one_line
from pixelwise.language import translate
from pixelwise.outputs import check_before
from pixelwise.shortage import is_shortage, told_as_input

if TYPE_CHECKING:
    from torch import Tensor

    from pixelwise.explanation.explain import Explanation

Found = TypeVar("Found")
Pixel = tuple[int, int]
CLASSES = 1 << 20
"""Numbers of classes end below it; the network says which there are."""


def names_host(text: str) -> bool:
    """Whether it names a network of timm or of a file, and no folder; timm is not imported."""
    try:
        if not text.isprintable() or Path(text).exists():
            return False
    except OSError:  # a name too long
        return False
    if is_own(text):
        return True
    found = re.match(r"([a-z][a-z0-9_]*)(\.[\w.]+)?(\(|$)", text)
    spec = None if found is None else importlib.util.find_spec("timm")
    if found is None or spec is None or spec.origin is None:
        return False
    defined = f"\ndef {found[1]}("
    files = (Path(spec.origin).parent / "models").glob("*.py")
    return any(defined in file.read_text("utf-8") for file in files)


def explain_host(found: Namespace, at: Pixel | None, layers: Sequence[str] | None) -> int:
    """Explain pixels of pictures that a network is given at the size that it takes.

    Args:
        found: What was parsed.
        at: The asked pixel of each picture.
        layers: Names of layers.
    """
    told = "is for runs of pixelwise train; leave it out"
    refuse_given(found, {"point": None, "as_is": False}, told)
    size = None if found.size is None else parse_size(size=found.size)
    check_host(found.run, found.checkpoint, pretrained=found.pretrained)
    check_out(found.out)
    plain = re.sub(r"[^\w.-]+", "_", Path(found.run).name).strip("_.")
    out = Path(found.out) if found.out else Path("runs") / "explain" / plain
    index = class_index(getattr(found, "class"), (), CLASSES)
    with Console(quiet=found.quiet) as console:
        from pixelwise.data.reading import read_picture
        from pixelwise.explanation.page.wording import grouped
        from pixelwise.pictures import displayable
        from pixelwise.predict.images import find_pictures

        device = pick_device(found.device)
        files = find_pictures(found.pictures)
        host = host_of(
            found.run, pretrained=found.pretrained, checkpoint=found.checkpoint, size=size
        )
        model = host.module.to(device)
        console.say(
            translate("model   {run}, on {device}; weights: {weights}").format(
                run=found.run, device=device, weights=host.weights
            )
        )
        for note in host.notes:
            console.say(note)
        config: Any = getattr(model, "pretrained_cfg", None) or {}
        if size is None and config.get("fixed_input_size"):
            size = (config["input_size"][1], config["input_size"][2])
        mean, std = (config.get(key) for key in ("mean", "std"))
        if mean is None or std is None:
            console.say(translate("pictures are given with values from 0 to 1"))
        names = {file: file.stem for file in files}
        if len(set(names.values())) < len(names):
            names = {file: file.name for file in files}
        for file, name in names.items():
            check_before(out / name, "explain", ("look.html", "explain.json"))
            picture = displayable(read_picture(file, None, 3).values)
            told = f"{file}: {picture.shape[0]} rows, {picture.shape[1]} columns"
            console.say(translate("picture {told}").format(told=told))
            image, shown = _given(picture, size, mean, std)
            if max(image.shape[-2:]) > LARGEST:
                raise InputError(
                    f"{told}: a picture to explain goes in whole and may have {LARGEST}; give "
                    "--size"
                )
            with told_as_input(f"{told}: take a smaller --size, or fewer --layers"):
                pixels = _asked(host, image.to(device), at, picture.shape[:2])
                explanations: list[Explanation] = []
                for done, pixel in enumerate(pixels, start=1):
                    explanations.append(
                        _explained(host, image.to(device), pixel, found, layers, index, shown)
                    )
                    console.busy("explaining", done, len(pixels))
                    asked = _from_network(pixel, shown.shape[:2], picture.shape[:2])
                    console.say(line_of(explanations[-1], asked))
            for note in grouped(note for one in explanations for note in one.notes):
                console.warn(f"{file}: {note}")
            places = [_from_network(p, shown.shape[:2], picture.shape[:2]) for p in pixels]
            written = write(out / name, file, explanations, places)
            count = (
                translate("1 pixel")
                if len(pixels) == 1
                else translate("{pixels} pixels").format(pixels=len(pixels))
            )
            console.print(
                translate("{count} explained: {written}").format(count=count, written=written)
            )
    return 0


def _given(
    picture: Any, size: Pixel | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple["Tensor", Any]:
    """What the network is given, (1, 3, h, w), and the picture of that size."""
    import numpy as np
    import torch
    from PIL import Image

    if size is not None and size != picture.shape[:2]:
        resized = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC)
        picture = np.asarray(resized)
    image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    if mean is not None and std is not None:
        centre, scale = (torch.tensor(values)[:, None, None] for values in (mean, std))
        image = (image - centre) / scale
    return image, picture


def _asked(host: GivenHost, image: "Tensor", at: Pixel | None, size: Pixel) -> list[Pixel]:
    """The asked pixels of what the network is given: of each class one, or the middle."""
    import torch.nn.functional as F

    from pixelwise.explanation.answer import Answer
    from pixelwise.explanation.queries import automatic_queries
    from pixelwise.explanation.question import check_pixel
    from pixelwise.explanation.recording import evaluated

    rows, columns = image.shape[-2:]
    if at is not None:
        check_pixel(at, size)
        row, column = (
            min(int((place + 0.5) * given / whole), given - 1)
            for place, whole, given in zip(at, size, (rows, columns), strict=True)
        )
        return [(row, column)]

    def classes() -> "Tensor | None":
        import torch

        with evaluated(host.module), torch.no_grad():
            dense = Answer(host.module, (0, 0), (rows, columns)).dense(image)
        if dense.shape[2:].numel() == 1:
            return None
        return F.interpolate(dense, (rows, columns), mode="bilinear")[0].argmax(0).cpu()

    found = _run(classes, rows, columns)
    return [(rows // 2, columns // 2)] if found is None else automatic_queries(found)


def _from_network(pixel: Pixel, given: Pixel, size: Pixel) -> Pixel:
    row, column = (
        min(int((place + 0.5) * whole / part), whole - 1)
        for place, part, whole in zip(pixel, given, size, strict=True)
    )
    return row, column


def _explained(
    host: GivenHost,
    image: "Tensor",
    pixel: Pixel,
    found: Namespace,
    layers: Sequence[str] | None,
    index: int | None,
    shown: Any,
) -> "Explanation":
    from pixelwise.explanation.explain import explain

    def run() -> "Explanation":
        return explain(
            host.module,
            image,
            pixel,
            layers=layers,
            deletion=not found.no_deletion,
            class_maps=found.class_maps or index is not None,
            receptive_field=found.receptive_field,
            class_index=index,
            picture=shown,
        )

    return _run(run, *image.shape[-2:])


def _run(run: Callable[[], Found], rows: int, columns: int) -> Found:
    """What `run` gives; what a network says of a picture that it does not take is one line."""
    try:
        return run()
    except InputError:
        raise
    except Exception as error:
        if is_shortage(error):
            raise
        raise InputError(
            f"size={rows}x{columns}: the network fails on such a picture "
            f"({in_one_line(error, 160)}); give --size HEIGHTxWIDTH that it takes"
        ) from error
