"""How a layer is called: exactly, for its compiled form, and roughly, for the verdict on it."""

import functools
import hashlib
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from pixelwise.layers.base import Layer
from pixelwise.release import VERSION

FORWARD, TRAIN = "forward", "train"
Called = tuple[Any, ...]
"""All that torch.compile compiles anew for, the mode first."""
Kind = Mapping[str, str | int | bool]
"""All that a verdict depends on."""


def ordinary(given: tuple[Tensor, ...]) -> bool:
    """Whether these are plain maps on the CPU, of a usual layout, that nobody looks at meanwhile.

    Meanwhile look the modes of torch that count operations or pretend to run them.
    """
    if torch._C._len_torch_dispatch_stack():
        return False
    return all(
        type(x) is Tensor and x.is_cpu and x.ndim == 4 and x.numel() and layout(x) for x in given
    )


def layout(x: Tensor) -> str:
    """How a map lies in memory; empty where it has gaps or overlaps."""
    if x.is_contiguous():
        return "contiguous"
    return "channels last" if x.is_contiguous(memory_format=torch.channels_last) else ""


def talks(layer: Layer) -> bool:
    """Whether it waits for other processes when it is called: it is not to be called once more."""
    if not (layer.training and distributed.is_available() and distributed.is_initialized()):
        return False
    return layer.between_processes or any(
        isinstance(part, nn.SyncBatchNorm) for part in layer.modules()
    )


def mode_of(layer: nn.Module, given: tuple[Tensor, ...]) -> str:
    """Train where gradients are recorded, else forward."""
    recorded = torch.is_grad_enabled() and any(
        x.requires_grad for x in (*given, *layer.parameters())
    )
    return TRAIN if recorded else FORWARD


def as_called(layer: nn.Module, mode: str, given: tuple[Tensor, ...]) -> Called:
    """Exactly."""
    return (
        mode,
        layer.training,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        half(),
        torch.get_num_threads(),
        *((x.shape, x.stride(), x.dtype, x.requires_grad) for x in given),
    )


def half() -> str:
    """The type of autocast, if it is on."""
    on = torch.is_autocast_enabled("cpu")
    return str(torch.get_autocast_dtype("cpu")).removeprefix("torch.") if on else ""


def kind_of(layer: Layer, mode: str, given: tuple[Tensor, ...]) -> Kind:
    """What maps of about these sizes share: machine, versions, layer and how it is called."""
    x = given[0]
    return {
        "machine": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "pixelwise": VERSION,
        "layer": layer.name,
        "made": made(layer),
        "mode": mode,
        "training": layer.training,
        "device": x.device.type,
        "dtype": str(x.dtype).removeprefix("torch."),
        "autocast": half(),
        "channels": x.shape[1],
        "images": round(math.log2(len(x))),
        "pixels": round(math.log2(x.shape[2] * x.shape[3])),
        "layout": layout(x),
        "gradient": x.requires_grad and mode == TRAIN,
    }


def made(layer: nn.Module) -> str:
    """A digest of the layer's options, parts and the types of its weights, not of their values."""
    plain = (bool, int, float, str, tuple, type(None))
    options = {
        name: value
        for name, value in vars(layer).items()
        if name != "training" and isinstance(value, plain)
    }
    weights = [
        (name, tuple(value.shape), str(value.dtype), value.requires_grad)
        for name, value in (*layer.named_parameters(), *layer.named_buffers())
    ]
    text = repr((sorted(options.items()), str(layer), weights))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def processor() -> str:
    """The processor's name, and which of its instructions torch uses."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else name}, {torch.backends.cpu.get_cpu_capability()}"
