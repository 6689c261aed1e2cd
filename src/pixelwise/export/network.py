"""A network as it is exported: on the CPU, in float32, with what stands before and behind it."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.export.proof import Inputs
from pixelwise.networks.segmenter import Segmenter
from pixelwise.tasks.base import Task

WRAPPED = ("_orig_mod", "module")
"""Where torch.compile and DistributedDataParallel keep a network."""
SIGMOID = ("binary", "multilabel")


def unwrapped(model: nn.Module) -> Segmenter:
    """The network inside of what other tools put around it.

    Raises:
        InputError: It is none of this package.
    """
    inner: Any = model
    while not isinstance(inner, Segmenter):
        inside = next((getattr(inner, n) for n in WRAPPED if hasattr(inner, n)), None)
        if not isinstance(inside, nn.Module):
            raise InputError(
                f"model={type(model).__name__}: is no network of pixelwise; give one of"
                " create_model or load, or take torch.onnx.export and pixelwise.export.proof.prove"
            )
        inner = inside
    return inner


def prepared(model: Segmenter) -> Segmenter:
    """A copy in eval mode, float32, on the CPU; the network itself where it is that already.

    Raises:
        InputError: Weights that are not there, or are no numbers.
    """
    tensors = [*model.parameters(), *model.buffers()]
    for name, tensor in model.state_dict().items():
        if tensor.is_meta:
            raise InputError(f"{name}: is on the meta device; load the weights first")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{name}: holds NaN or infinite values; take another checkpoint")
    ready = all(
        tensor.device.type == "cpu"
        and (tensor.dtype == torch.float32 or not tensor.is_floating_point())
        for tensor in tensors
    )
    if ready and not any(module.training for module in model.modules()):
        return model
    return copy.deepcopy(model).cpu().float().eval()


class Exported(nn.Module):
    """A network with its normalisation before it and its decoder behind it, as asked.

    Args:
        model: In eval mode; shared, not copied.
        normalise: Whether the input is raw values.
        output: "logits", "probabilities", or "answer", as the task gives it.

    Raises:
        InputError: Probabilities of a task that has none.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: Segmenter, *, normalise: bool = False, output: str = "logits"
    ) -> None:
        super().__init__()
        config = model.config
        if output == "probabilities" and config.task not in ("multiclass", *SIGMOID):
            raise InputError(
                f"probabilities: task {config.task!r} has none; leave them out, or take --answer"
            )
        self.model = model
        self.output = output
        self.normalise = normalise
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None] * config.scale)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None] * config.scale)
        self.eval()

    def logits(self, image: Tensor) -> Tensor:
        """What the network says, before it is put into the form asked for."""
        if self.normalise:
            image = (image - self.mean) / self.std
        if self.output != "answer":
            return self.model(image)
        task: Task = self.model.task
        run: Callable[[Tensor], Tensor] = task.predictor(self.model)
        return run(image)

    def forward(self, image: Tensor) -> Tensor:
        """What the file says."""
        logits = self.logits(image)
        if self.output == "logits":
            return logits
        if self.output == "answer":
            return self.model.task.answer(logits)
        return logits.sigmoid() if self.model.config.task in SIGMOID else logits.softmax(dim=1)

    def lack(self, image: Tensor, found: Tensor, wanted: Tensor) -> float:
        """By how much the logits speak against the classes `found`, as a part of their range."""
        logits = self.logits(image)
        spread = float(logits.max() - logits.min()) or 1.0
        if logits.shape[1] > 1:
            of = [logits.gather(1, classes[:, None])[:, 0] for classes in (wanted, found)]
            return float((of[0] - of[1]).max()) / spread
        threshold = self.model.config.task_options.get("threshold") or 0.5
        apart = (logits[:, 0] - math.log(threshold / (1 - threshold))).abs()
        return float(apart[found != wanted].max()) / spread

    def inputs(self) -> Inputs:
        """Pictures of noise as this takes them."""
        config = self.model.config

        def made(batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
            generator = torch.Generator().manual_seed(0)
            image = torch.randn(batch, config.in_channels, *size, generator=generator)
            return (image * self.std + self.mean if self.normalise else image,)

        return made
