"""Feature maps inside a network, as a leaf from which gradients are taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError, unknown
from pixelwise.explanation.frame import framed
from pixelwise.explanation.placing import Area
from pixelwise.explanation.recording import recorded
from pixelwise.language import message


@dataclass
class Seen:
    """What a place held when the network ran."""

    place: str
    features: list[Float[Tensor, "1 c h w"]] = field(default_factory=list)
    covers: list[Area] = field(default_factory=list)

    def found(self) -> tuple[Float[Tensor, "1 c h w"], Area]:
        """The features of the last call, and the area that they cover.

        Raises:
            InputError: The place was not reached, or holds no feature maps.
        """
        if not self.features:
            raise InputError(
                f"{self.place} gave no feature maps (1, c, h, w); name a module that does"
            )
        return self.features[-1], self.covers[-1]


@dataclass(frozen=True)
class FeaturePlace:
    """The input or the output of a module, at its last call."""

    label: str
    module: nn.Module
    entering: bool
    """Whether it is the module's first input; else its output."""

    @contextmanager
    def watched(self, model: nn.Module, size: tuple[int, int]) -> Iterator[Seen]:
        """Put a leaf there that requires gradients, while the block runs."""
        seen = Seen(self.label)

        def leaf(x: Any) -> Tensor | None:
            if not isinstance(x, Tensor) or x.ndim != 4:
                return None
            features = x.detach().requires_grad_()
            seen.features.append(features)
            seen.covers.append(frame.covers(self.module, features))
            return features.clone()  # what follows may write into it

        def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            changed = leaf(args[0]) if args else None
            return None if changed is None else (changed, *args[1:])

        def after(_: nn.Module, __: Any, output: Any) -> Tensor | None:
            return leaf(output)

        hook = (
            self.module.register_forward_pre_hook(before)
            if self.entering
            else self.module.register_forward_hook(after)
        )
        with framed(model, size) as frame:
            try:
                yield seen
            finally:
                hook.remove()


def named_features(model: nn.Module, name: str) -> FeaturePlace:
    """The output of the module of that name.

    Raises:
        InputError: There is none.
    """
    modules = dict(model.named_modules())
    if name not in modules:
        raise unknown("module", name, modules)
    return FeaturePlace(name, modules[name], entering=False)


def last_features(model: nn.Module, image: Float[Tensor, "1 c h w"]) -> FeaturePlace:
    """The input of the last attention layer, or the last feature maps before the output.

    These enter the last module that has weights or ends in a single pixel or vector, not one that
    only resizes or squashes what is the output already.

    Raises:
        InputError: No module is given feature maps.
    """
    last: list[FeaturePlace] = []
    names = {module: name for name, module in model.named_modules()}

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not args or not isinstance(args[0], Tensor) or args[0].ndim != 4:
            return
        spatial = isinstance(output, Tensor) and output.ndim == 4 and output.shape[2:].numel() > 1
        weighs = next(module.parameters(), None) is not None
        if args[0].shape[2:].numel() > 1 and (weighs or not spatial):
            last[:] = [
                FeaturePlace(message("input of {name}", name=names[module]), module, entering=True)
            ]

    leaves = [module for module in model.modules() if next(module.children(), None) is None]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with recorded(model, (image.shape[2], image.shape[3])) as calls:
            model(image.clone())  # some networks write into what they are given
    finally:
        for hook in hooks:
            hook.remove()
    if calls:
        return FeaturePlace(
            message("input of {name}", name=calls[-1].name), calls[-1].layer, entering=True
        )
    if not last:
        raise InputError(
            f"{type(model).__name__} gives no module feature maps (b, c, h, w); "
            "name a module whose output is one as place"
        )
    return last[0]
