"""What every attention layer of a network receives while it runs.

    with recorded(model, image size) as calls: model(image)
    call.layer.maps(*call.inputs, at)                         that layer's map for one of its pixels

The forward pass keeps its fused form: hooks copy a layer's inputs as it is called, maps are
computed afterwards from these, and nothing stays on the network. A copy, since what follows a layer
may write into its input.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.explanation.frame import framed
from pixelwise.explanation.placing import Area
from pixelwise.insertion.attached import CHILD, Attached
from pixelwise.insertion.examples import modes_kept
from pixelwise.insertion.insert import check_host
from pixelwise.layers.base import AttentionLayer, FusionLayer, Layer


@dataclass(frozen=True)
class LayerCall:
    """One call of an attention layer."""

    name: str
    """Where the layer stands; "NAME#2" at its second call."""
    layer: AttentionLayer | FusionLayer
    inputs: tuple[Tensor, ...]
    """The features, and for a layer of two inputs the guide."""
    size: tuple[int, int]
    """Rows and columns of the output."""
    covers: Area
    """What the layer sees, in picture pixels; more than the picture where that was padded."""
    gain: float | None
    """Mean size of an inserted layer's gain, if it has one."""


def attention_layers(model: nn.Module) -> dict[str, AttentionLayer | FusionLayer]:
    """The layers by their place: an inserted one by the module that it stands behind.

    Layers inside of a layer are parts of it, and left out.
    """
    parts = {
        part
        for layer in model.modules()
        if isinstance(layer, AttentionLayer | FusionLayer)
        for part in layer.modules()
        if part is not layer
    }
    found: dict[str, AttentionLayer | FusionLayer] = {}
    inserted: dict[nn.Module, str] = {}
    for path, module in model.named_modules():
        if isinstance(module, Attached):
            inserted[module.layer] = path.rpartition(f"{CHILD}.")[0] + module.place.name
        elif isinstance(module, AttentionLayer | FusionLayer) and module not in parts:
            name = inserted.get(module, path or type(module).__name__)
            found[f"{name}, inserted" if name in found else name] = module
    return found


@contextmanager
def recorded(model: nn.Module, size: tuple[int, int]) -> Iterator[list[LayerCall]]:
    """Record every call of an attention layer while the block runs, in their order.

    Args:
        model: The network.
        size: Rows and columns of the picture that it is given.
    """
    calls: list[LayerCall] = []
    gains: dict[nn.Module, float | None] = {
        module.layer: None if module.gain is None else module.gain.detach().abs().mean().item()
        for module in model.modules()
        if isinstance(module, Attached)
    }
    times: dict[str, int] = {}
    last: dict[nn.Module, int] = {}

    def before(name: str) -> Callable[[Layer, tuple[Any, ...], dict[str, Any]], None]:
        def record(layer: Layer, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            assert isinstance(layer, AttentionLayer | FusionLayer)
            times[name] = times.get(name, 0) + 1
            inputs = [*args, *(options[key] for key in ("x", "guide") if key in options)]
            inputs = [x.detach().clone() for x in inputs[: 1 + isinstance(layer, FusionLayer)]]
            last[layer] = len(calls)
            calls.append(
                LayerCall(
                    name if times[name] == 1 else f"{name}#{times[name]}",
                    layer,
                    tuple(inputs),
                    (inputs[0].shape[2], inputs[0].shape[3]),
                    frame.covers(layer, inputs[0]),
                    gains.get(layer),
                )
            )

        return record

    def after(layer: nn.Module, _: Any, output: Tensor) -> None:
        place, shape = last[layer], output.shape
        calls[place] = dataclasses.replace(calls[place], size=(shape[2], shape[3]))

    with framed(model, size) as frame, ExitStack() as stack:
        for name, layer in attention_layers(model).items():
            hooks = [layer.register_forward_pre_hook(before(name), with_kwargs=True)]
            if not layer.keeps_shape:
                hooks.append(layer.register_forward_hook(after))
            for hook in hooks:
                stack.callback(hook.remove)
        yield calls


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """The network in eval mode and not compiled, and afterwards every module as it was."""
    with ExitStack() as stack:
        if any(module._compiled_call_impl is not None for module in model.modules()):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(modes_kept(model))
        model.eval()
        yield


def uncompiled(model: nn.Module) -> nn.Module:
    """The network itself, where `torch.compile` wrapped it: compiled code calls no new hooks.

    Raises:
        InputError: It trains when it is put into train mode: it only holds a network.
    """
    inner = getattr(model, "_orig_mod", model)
    assert isinstance(inner, nn.Module)
    check_host(inner, "model")
    return inner
