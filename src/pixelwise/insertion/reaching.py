"""How far the features of a host look, at any of its modules."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.insertion.examples import Example, picture_of, quiet, run, seeded
from pixelwise.insertion.layouts import FeatureLayout
from pixelwise.insertion.suggestions import SHARE, Reach
from pixelwise.receptive import Energy, below, chebyshev, gradient_energy


class _Reached(BaseException):
    """Ends a forward pass where all that is wanted is known; no host is to catch it."""


def with_picture(example: Example, picture: Tensor) -> Example:
    """The same input with another picture; all else is cut to as many rows as that has."""
    if isinstance(example, Tensor):
        return picture
    old = picture_of(example)

    def changed(value: Any) -> Any:
        if value is old:
            return picture
        alike = isinstance(value, Tensor) and value.ndim > 0 and len(value) == len(old)
        return value[: len(picture)] if alike else value

    if isinstance(example, tuple):
        return tuple(map(changed, example))
    return {name: changed(value) for name, value in example.items()}


def features_at(
    host: nn.Module, name: str, layout: FeatureLayout, example: Example
) -> Callable[[Tensor], Tensor]:
    """The function from a picture to the map (b, c, h, w) behind a module; what follows is left."""
    module = host.get_submodule(name)

    def features(picture: Tensor) -> Tensor:
        seen: list[Tensor] = []

        def stop(module: nn.Module, inputs: Any, output: Any) -> None:
            seen.append(output[0] if isinstance(output, tuple) else output)
            raise _Reached

        handle = module.register_forward_hook(stop)
        try:
            run(host, with_picture(example, picture.clone()))  # some work in place
        except _Reached:
            pass
        finally:
            handle.remove()
        return layout.to_map(seen[0], (picture.shape[-2], picture.shape[-1]))

    return features


def reach(
    host: nn.Module, name: str, layout: FeatureLayout, example: Example, whole: tuple[int, int]
) -> Reach | str:
    """Where the gradient of the feature in the middle of the map comes from, or why unknown.

    The area is a share of pictures of the size `whole`, of which the example may be a part.
    The host is to be in eval mode, and without gradients of its weights for speed.
    """
    picture = picture_of(example)[:1]
    features = features_at(host, name, layout, example)
    try:
        with seeded(), quiet():
            with torch.no_grad():
                rows, columns = features(picture).shape[-2:]
            middle = (rows // 2, columns // 2)
            (values,) = gradient_energy(features, picture, [middle]).numpy()
    except Exception as error:  # whatever a host says where it is not made for gradients
        return f"reach unknown: no gradient comes back ({type(error).__name__})"
    image = picture.shape[-2:]
    at = below(middle, (rows, columns), image)
    if not math.isfinite(float(values.sum())):
        return "reach unknown: the gradient is no finite number"
    energy = Energy(at, values)
    if energy.is_local:
        return "looks at its own pixel alone" if values.any() else "no gradient reaches the picture"
    radius = energy.radius(SHARE)
    places = np.indices(whole)
    near = np.hypot(places[0] - whole[0] // 2, places[1] - whole[1] // 2) <= radius
    farthest = int(chebyshev(at, values.shape)[values > 0].max())
    touched = values > 0
    edge = bool(touched[[0, -1]].any() or touched[:, [0, -1]].any())
    return Reach(radius, float(near.mean()), farthest, edge)


@contextmanager
def as_trained(host: nn.Module) -> Iterator[int]:
    """Norms whose factors are all 0 have factors of 1, and no weight asks for a gradient.

    Networks start their residual branches so, which then pass nothing on. Afterwards all is as it
    was. Gives the number of such norms.
    """
    zero = []
    for module in host.modules():
        factor = getattr(module, "weight", None)
        if isinstance(factor, nn.Parameter) and factor.ndim == 1 and not factor.any():
            zero.append(factor)
    asked = [p for p in host.parameters() if p.requires_grad]
    try:
        with torch.no_grad():
            for factor in zero:
                factor.fill_(1)
        for parameter in asked:
            parameter.requires_grad_(False)
        yield len(zero)
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)
        with torch.no_grad():
            for factor in zero:
                factor.zero_()
