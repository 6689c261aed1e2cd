"""What the engine must know of a network: ours, or anybody's."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from pixelwise.data.fitting import extremes
from pixelwise.data.missing import filled
from pixelwise.data.reading import Picture
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.predict.fixed import predictor_of
from pixelwise.predict.images import expected, network_input
from pixelwise.predict.prepared import Prepared
from pixelwise.predict.rasters.foreign import Foreign, check_evaluated
from pixelwise.predict.rasters.source import Source
from pixelwise.predict.windows import Predictor
from pixelwise.tasks.base import Task
from pixelwise.tasks.registry import task_of

SPOTS, SPOT = 4, 256
"""The values of a raster are looked at in so many places per side, of so many pixels."""


@dataclass(frozen=True)
class Network:
    """A network as rasters need it.

    Args:
        logits: Raw values (n, c, h, w) -> logits (n, k, h, w).
        task: What the logits mean.
        prepare: From a window as it was read to raw values (c, h, w).
        mark: Tells this network from others.
    """

    logits: Predictor
    task: Task
    prepare: Callable[[Picture], Shaped[Tensor, "c h w"]]
    mark: str


@dataclass(frozen=True)
class Stated:
    """What is said of a network that has no config of ours."""

    num_classes: int
    names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ignore_index: int = 255
    task_options: Mapping[str, Any] = field(default_factory=dict)


def of_segmenter(model: Model, source: Source, *, as_is: bool = False) -> Network:
    """One of ours: its config says everything.

    Args:
        model: In eval mode, on any device.
        source: What it is to predict; its values must be like those of the training pictures.
        as_is: They need not.

    Raises:
        InputError: Values that are unlike those of the training, or points.
    """
    config, task = model.config, model.task
    if not task.tiled:
        raise InputError(
            f"task={task.key!r}: looks at whole pictures; cut the raster into pictures"
        )
    check_evaluated(model)
    run = predictor_of(model)
    found = None if as_is else _extremes(source)
    factor = 1.0
    if found is not None:
        low, high, dtype = found
        factor = expected(model).factor(low, high, dtype, source.name)

    def prepare(picture: Picture) -> Tensor:
        values: Tensor = picture.values
        if factor != 1:
            values = values.to(torch.float32) * factor
        return filled(values, picture.missing, config.mean, config.scale)

    bits = f" {model.precision}" if isinstance(model, Prepared) else ""
    mark = f"{_digest(model)} {factor:g}{bits}"
    return Network(lambda x: run(network_input(model, x)), task, prepare, mark)


def of_callable(
    model: Callable[[Tensor], Any],
    source: Source,
    *,
    task: str,
    names: Sequence[str] = (),
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
    scale: float = 1.0,
    device: str | torch.device | None = None,
    window: int = 256,
) -> Network:
    """Anybody's: a function of `(raw / scale - mean) / std` that returns logits.

    They are a tensor, `.logits`, or an entry "logits" or "out", of any size; they are resized to
    that of the window. See `foreign` for what may be called.

    Args:
        model: Called on (n, c, h, w); a module in eval mode, or a program of `torch.export`.
        source: What it is to predict.
        task: What the logits mean: multiclass, binary, multilabel or regression.
        names: Of the classes, labels or bands.
        mean: Per band, or for all.
        std: Likewise.
        scale: The raw value that means 1.0.
        device: Where a function computes; a module does where it is.
        window: Pixels of a side of the window that it is tried on.

    Raises:
        InputError: It returns something else, or another number of logits than there are names.
    """
    first = source.read(0, 0, min(window, source.height), min(window, source.width)).values
    bands = len(first)
    means, stds = (_per_band(n, v, bands) for n, v in (("mean", mean), ("std", std)))

    network = Foreign(model, device)

    def logits(raw: Tensor) -> Tensor:
        return network((raw.to(torch.float32) / scale - means) / stds)

    tried = logits(first[None])
    count = tried.shape[1]
    if names and len(names) != max(count, 2 if task == "binary" else 1):
        raise InputError(
            f"names={list(names)}: {len(names)} for {count} logits; give one name for each"
        )
    stated = Stated(count, tuple(names))

    def prepare(picture: Picture) -> Tensor:
        return filled(picture.values, picture.missing, means.flatten().tolist(), scale)

    about = repr((task, names, mean, std, scale, hashlib.sha256(_bytes(tried)).hexdigest()))
    mark = f"{_digest(model)} {about}" if isinstance(model, nn.Module) else about
    return Network(logits, task_of(task, stated), prepare, mark)


def _per_band(name: str, value: Sequence[float] | float, bands: int) -> Tensor:
    numbers = [float(value)] * bands if isinstance(value, int | float) else [*map(float, value)]
    if len(numbers) != bands:
        raise InputError(f"{name}={value}: must be one per band, {bands}; correct it")
    return torch.tensor(numbers)[:, None, None]


def _extremes(source: Source) -> tuple[float, float, str] | None:
    """Lowest and highest value and type of some places of a raster."""
    found, dtype = [], ""
    height, width = min(SPOT, source.height), min(SPOT, source.width)
    for i in range(SPOTS):
        for j in range(SPOTS):
            top = i * (source.height - height) // (SPOTS - 1)
            left = j * (source.width - width) // (SPOTS - 1)
            picture = source.read(top, left, height, width)
            dtype = picture.dtype
            if (ends := extremes(picture)) is not None:
                found.append(ends)
    if not found:
        return None
    return min(low for low, _ in found), max(high for _, high in found), dtype


def _digest(model: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode())
        if isinstance(tensor, Tensor):
            found.update(_bytes(tensor))
    config = getattr(model, "config", None)
    found.update(repr(config).encode())
    return found.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes()
