"""Networks of other libraries: how they are called, and what they return."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from pixelwise.errors import InputError, in_one_line
from pixelwise.shortage import is_shortage

MULTIPLE = 32
"""Sides that networks take which do not take all; the window is extended to them."""


class Foreign:
    """Logits of a network that is not one of ours, at the size of what it is given.

    A TorchScript module, an `ExportedProgram` and a compiled module are called as modules are. A
    module gets its input in its own number type, on its own device. Where it fails at a size, its
    input is extended to multiples of 32 by repeating the last row and column.

    Args:
        model: Any function of (n, c, h, w), or a program of `torch.export`.
        device: Where it computes; None: where its weights are, or on the CPU.

    Raises:
        InputError: Nothing that can be called, or a module in training mode.
    """

    def __init__(self, model: Any, device: str | torch.device | None = None) -> None:
        from torch.export import ExportedProgram

        weights: list[Tensor] = []
        if isinstance(model, ExportedProgram):
            weights = [*model.state_dict.values()]
            model = model.module()
        elif isinstance(model, nn.Module):
            weights = [*model.parameters(), *model.buffers()]
            check_evaluated(model)
        elif not callable(model):
            raise InputError(
                f"model={model!r:.80}: must be a network, or a function of (n, c, h, w); open a"
                " file of one by torch.jit.load or torch.export.load first"
            )
        self.model: Callable[[Tensor], Any] = model
        numbers = [weight for weight in weights if weight.is_floating_point()]
        self._dtype = numbers[0].dtype if numbers else torch.float32
        self._device = device or (numbers[0].device if numbers else torch.device("cpu"))

    @torch.no_grad()
    def __call__(self, values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """The logits.

        Raises:
            InputError: The network fails, or returns something else.
        """
        values = values.to(self._device, self._dtype)
        height, width = values.shape[-2:]
        try:
            return _at_size(only_logits(self.model(values)), (height, width))
        except InputError:
            raise
        except Exception as error:
            below, right = -height % MULTIPLE, -width % MULTIPLE
            if is_shortage(error) or not (below or right):
                raise self._told(values, error) from error
            first = error
        extended = F.pad(values, (0, right, 0, below), mode="replicate")
        try:
            answer = self.model(extended)
        except Exception as error:
            raise self._told(values, first) from error
        size = (height + below, width + right)
        return _at_size(only_logits(answer), size)[..., :height, :width]

    def _told(self, values: Tensor, error: Exception) -> Exception:
        if is_shortage(error):
            return error
        return InputError(
            f"model: fails on windows of shape {tuple(values.shape)}"
            f" ({in_one_line(error, 300)}); give it that many bands, the window it was made for, or"
            " a function around it"
        )


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
    return found if found.dtype == torch.float64 else found.float()


def _at_size(logits: Float[Tensor, "n k i j"], size: tuple[int, int]) -> Float[Tensor, "n k h w"]:
    if logits.shape[-2:] == size:
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def check_evaluated(model: nn.Module) -> None:
    """Raise an InputError where a module is in training mode."""
    for part in model.modules():
        if part.training and isinstance(part, _BatchNorm | _DropoutNd):
            raise InputError(
                f"model: its {type(part).__name__} is in training mode, so its answers would depend"
                " on chance or on the batch; call model.eval() first"
            )
