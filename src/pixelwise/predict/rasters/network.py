"""What the engine must know of a network: ours, or anybody's."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from pixelwise.data.fitting import extremes
from pixelwise.data.missing import filled
from pixelwise.data.reading import Picture
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.images import expected, network_input
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


def of_segmenter(model: Segmenter, source: Source, *, as_is: bool = False) -> Network:
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
    run = task.predictor(model)
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

    return Network(lambda x: run(network_input(model, x)), task, prepare, _digest(model))


def of_callable(
    model: Callable[[Tensor], Any],
    source: Source,
    *,
    task: str,
    names: Sequence[str] = (),
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
    scale: float = 1.0,
    device: str | torch.device = "cpu",
    window: int = 256,
) -> Network:
    """Anybody's: a function of `(raw / scale - mean) / std` that returns logits.

    They are a tensor, `.logits`, or an entry "logits" or "out", of any size; they are resized to
    that of the window.

    Args:
        model: Called on (n, c, h, w); a module should be in eval mode.
        source: What it is to predict.
        task: What the logits mean: multiclass, binary, multilabel or regression.
        names: Of the classes, labels or bands.
        mean: Per band, or for all.
        std: Likewise.
        scale: The raw value that means 1.0.
        device: Where the network is.
        window: Pixels of a side of the window that it is tried on.

    Raises:
        InputError: It returns something else, or another number of logits than there are names.
    """
    first = source.read(0, 0, min(window, source.height), min(window, source.width)).values
    bands = len(first)
    means, stds = (_per_band(n, v, bands) for n, v in (("mean", mean), ("std", std)))

    @torch.no_grad()
    def logits(raw: Tensor) -> Tensor:
        values = raw.to(device, torch.float32) / scale
        values = (values - means.to(values)) / stds.to(values)
        return resized(only_logits(model(values)), (raw.shape[-2], raw.shape[-1]))

    count = logits(first[None]).shape[1]
    if names and len(names) != max(count, 2 if task == "binary" else 1):
        raise InputError(
            f"names={list(names)}: {len(names)} for {count} logits; give one name for each"
        )
    stated = Stated(count, tuple(names))

    def prepare(picture: Picture) -> Tensor:
        return filled(picture.values, picture.missing, means.flatten().tolist(), scale)

    mark = _digest(model) if isinstance(model, nn.Module) else getattr(model, "__name__", "")
    return Network(logits, task_of(task, stated), prepare, mark)


def only_logits(answer: Any) -> Float[Tensor, "n k h w"]:
    """The logits in what a network of another library returns.

    Raises:
        InputError: There are none.
    """
    found = answer
    if isinstance(answer, Mapping):
        found = next((answer[name] for name in ("logits", "out") if name in answer), answer)
    elif not isinstance(answer, Tensor):
        found = getattr(answer, "logits", answer)
    if not isinstance(found, Tensor) or found.ndim != 4:
        shape = f" of shape {tuple(found.shape)}" if isinstance(found, Tensor) else ""
        raise InputError(
            f"model: returns {type(found).__name__}{shape}; must be logits (n, classes, rows,"
            " columns); wrap it in a function that returns those"
        )
    return found


def resized(logits: Float[Tensor, "n k i j"], size: tuple[int, int]) -> Float[Tensor, "n k h w"]:
    """Logits at the size of the window."""
    if logits.shape[-2:] == size:
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


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
            found.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    config = getattr(model, "config", None)
    found.update(repr(config).encode())
    return found.hexdigest()
