"""Plain DistributedDataParallel: every parameter takes part in `model(x)`.

It waits for the gradient of each parameter, and those of auxiliary heads have none where only the
logits are asked for.
"""

import torch
from torch import Tensor, nn
from torch.distributed import is_available, is_initialized


def with_all(logits: Tensor, model: nn.Module) -> Tensor:
    """The same logits; where processes train together, unused parameters get a gradient of 0."""
    if torch.compiler.is_compiling() or not (is_available() and is_initialized()):
        return logits
    if not (model.training and logits.requires_grad):
        return logits
    used = _reached(logits)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter not in used:
            logits = logits + parameter.flatten()[:0].sum()  # of no numbers: exactly 0
    return logits


def _reached(logits: Tensor) -> set[Tensor]:
    found: set[Tensor] = set()
    seen, waiting = set(), [logits.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        waiting.extend(following for following, _ in node.next_functions)
    return found
