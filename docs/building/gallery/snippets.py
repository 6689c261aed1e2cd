"""A few lines of Python to try a layer or a network with, and what they give."""

import inspect
from typing import Any

import torch

from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, FusionLayer, Layer, Maps
from pixelwise.layers.registry import create

SIZE = (2, 64, 32, 48)
AT = (16, 24)
HOST = "resnet18"


def layer_snippet(cls: type[Layer]) -> str:
    """Create it, run it, look at its maps, put it into a network; shapes stand beside."""
    layer = create(cls, SIZE[1]).eval()
    inputs = {"x": torch.randn(SIZE)}
    if isinstance(layer, FusionLayer):
        inputs["guide"] = torch.randn(cls.benchmark_guide({}, SIZE))  # type: ignore[attr-defined]
    given = ", ".join(inputs)
    insertable = isinstance(layer, AttentionLayer) and layer.keeps_shape
    lines = ["import pixelwise", "import timm" if insertable else "", "import torch", ""]
    lines = [line for line in lines[:-1] if line] + [""]
    lines.append(f'layer = pixelwise.create_layer("{cls.key}", {SIZE[1]}).eval()')
    lines += [f"{name} = torch.randn({_sizes(value)})" for name, value in inputs.items()]
    with torch.no_grad():
        lines.append(f"y = layer({given})  # {_shape(layer(*inputs.values()))}")
        if isinstance(layer, (AttentionLayer, FusionLayer)):
            lines += _maps(layer, inputs, given)
    if insertable:
        place = "layer3" if layer.limits.least <= 4 else "layer1"  # where maps are large enough
        lines += [
            f'host = timm.create_model("{HOST}").eval()',
            f'print(pixelwise.insert(host, {{"{place}": "{cls.key}"}}))',
        ]
    return "\n".join(lines)


def network_snippet(key: str, backbone: str) -> str:
    """Create the network and run it."""
    return "\n".join(
        [
            "import pixelwise",
            "import torch",
            "",
            f'model = pixelwise.create_model("{key}", "{backbone}", num_classes=19).eval()',
            "picture = torch.randn(1, 3, 128, 160)",
            "with torch.no_grad():",
            "    logits = model(picture)  # (1, 19, 128, 160)",
            "classes = logits.argmax(dim=1)  # (1, 128, 160)",
        ]
    )


def _maps(layer: Any, inputs: dict[str, torch.Tensor], given: str) -> list[str]:
    try:
        found: Maps = layer.maps(*inputs.values())
        call = f"layer.maps({given})"
    except InputError:
        found = layer.maps(*inputs.values(), at=AT)
        call = f"layer.maps({given}, at={AT})"
    lines = [f"maps = {call}"]
    if found.spatial is not None:
        lines.append(f"maps.spatial  # {_shape(found.spatial)}: heads, then rows and columns")
    if found.channel is not None:
        lines.append(f"maps.channel  # {_shape(found.channel)}")
    return lines


def _shape(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))


def _sizes(tensor: torch.Tensor) -> str:
    return ", ".join(str(size) for size in tensor.shape)


def plain_source(function: Any) -> str:
    """The source of a function without its docstring and its indentation."""
    source = inspect.cleandoc("\n" + inspect.getsource(function))
    doc = function.__doc__
    if doc:
        start = source.index('"""')
        end = source.index('"""', start + 3) + 3
        source = source[:start].rstrip() + source[end:]
    return source
