"""Whole states of a network whose weights are spread over processes (FSDP2), and back."""

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(state: Any) -> Any:
    """The state with every tensor in one piece; all processes have to ask for it."""
    if isinstance(state, DTensor):
        return state.full_tensor()
    if isinstance(state, dict):
        return type(state)({name: whole(value) for name, value in state.items()})
    return [whole(value) for value in state] if isinstance(state, list) else state


@torch.no_grad()
def take_weights(network: torch.nn.Module, state: dict[str, Tensor]) -> None:
    """Load whole weights into a network that is spread, or not."""
    own = network.state_dict()
    spread = {name: as_spread(value, own.get(name)) for name, value in state.items()}
    network.load_state_dict(spread)


def take_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Load an optimiser's whole state."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    each = {
        number: {
            name: as_spread(value, weights[number], like_shape=True)
            for name, value in known.items()
        }
        for number, known in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": each})


def as_spread(value: Any, like: Any, *, like_shape: bool = False) -> Any:
    """A whole tensor spread as another one is; anything else as it is."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor):
        return value
    if like_shape and value.shape != like.shape:  # the number of steps
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
