"""Batch norms folded into the convolutions before them: the same outputs, in fewer passes.

Which norm follows which convolution is seen in a run of the network, not read from names. That
nothing else uses what lies between them is shown by numbers: the outputs are compared in float64,
on a copy whose statistics and zeros are moved, since at their start they may hide a difference.
"""

import copy
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.examples import Example, example_for, quiet, run, seeded
from pixelwise.insertion.proof import difference, tensors
from pixelwise.layers.base import Layer
from pixelwise.merging import CONVOLUTIONS, Pair, exact, fits, is_norm, merge
from pixelwise.ops.running import choice

TOLERANCE = 1e-9
"""Of the largest value of an output in float64, where equal sums differ by about 1e-15."""
MOVED = 0.1
"""How far statistics and zeros are moved for the proof."""


@torch.inference_mode(False)
def fold(model: nn.Module, example: Example | None = None) -> nn.Module:
    """A copy of a network for prediction, with its batch norms folded into its convolutions.

    Where a norm was is `nn.Identity`, or what else the norm did: its activation and its dropout.
    Everything that `foldable` does not name is as before. The copy is in eval mode and not to be
    trained, since `train()` finds none of the norms. Where it has a `save_pretrained`, that
    refuses: what loads such a folder builds the norms again.

    Args:
        model: Any network; it stays as it is.
        example: Its input: a picture (b, c, h, w), or positional or named arguments; by default
            the usual pictures are tried.

    Raises:
        InputError: The network cannot be copied, does not run on the example, or gives nothing
            that can be compared.
    """
    pairs = foldable(model, example)
    folded = _copied(model).eval()
    merge(folded, pairs)
    for name, module in folded.named_modules():
        if isinstance(module, Layer):
            module.note_parts()  # the lean form was proven with these
        inside = f"{name}." if name else ""
        if hasattr(module, "save_pretrained") and any(n.startswith(inside) for _, n in pairs):
            vars(module)["save_pretrained"] = _refuse_to_save
    return folded


@torch.inference_mode(False)
def foldable(model: nn.Module, example: Example | None = None) -> list[Pair]:
    """The names of the convolutions and norms that `fold` makes one, in the order they run.

    Such a norm has running statistics, and whenever it or the convolution runs, its input is what
    the convolution has just given. The convolution's weights are its own: neither shared, nor
    computed from others. Neither of the two has hooks, and folding leaves the outputs as they are.
    A part that does not run on the example is not folded.

    Args:
        model: Any network; it stays as it is.
        example: As for `fold`.

    Raises:
        InputError: As for `fold`.
    """
    host = _copied(model).cpu().double().eval()
    given = example_for(host, None) if example is None else _example(example)
    _move(host)
    with _followed(host) as found:
        expected = _outputs(host, given)

    def equal(pairs: Sequence[Pair]) -> bool:
        folded = copy.deepcopy(host)
        merge(folded, pairs)
        try:
            return _equal(expected, _outputs(folded, given))
        except InputError:  # something reads the norm's own numbers, which are gone
            return False

    return _proven([pair for pair in found() if fits(model, *pair)], equal)


@contextmanager
def _followed(host: nn.Module) -> Iterator[Callable[[], list[Pair]]]:
    """Watch a run of a network; afterwards the function given tells the pairs that were seen."""
    owners = Counter(id(p) for module in host.modules() for p in module._parameters.values())
    made: dict[int, tuple[weakref.ref[Tensor], int, str]] = {}
    calls: Counter[str] = Counter()
    sources: dict[str, list[str]] = {}

    def gave(name: str, y: Tensor) -> None:
        calls[name] += 1
        made[id(y)] = (weakref.ref(y), y._version, name)

    def takes(name: str, inputs: tuple[Any, ...]) -> None:
        x = inputs[0] if inputs else None
        y, version, source = made.pop(id(x), (lambda: None, 0, ""))
        same = isinstance(x, Tensor) and y() is x and x._version == version
        sources.setdefault(name, []).append(source if same else "")

    def pairs() -> list[Pair]:
        """Those that ran as often as each other, and always one upon the other."""
        return [(s[0], norm) for norm, s in sources.items() if s[0] and s == [s[0]] * calls[s[0]]]

    handles = []
    for name, module in host.named_modules():
        if module._forward_hooks or module._forward_pre_hooks or isinstance(module, ScriptModule):
            continue
        if isinstance(module, CONVOLUTIONS) and _owns_weights(module, owners):
            hook = module.register_forward_hook(lambda m, x, y, name=name: gave(name, y))
            handles.append(hook)
        elif is_norm(module):
            handles.append(module.register_forward_pre_hook(lambda m, x, name=name: takes(name, x)))
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()


def _owns_weights(convolution: nn.Module, owners: Counter[int]) -> bool:
    own = convolution._parameters
    shared = any(owners[id(p)] > 1 for p in own.values() if p is not None)
    return own.get("weight") is not None and "bias" in own and not shared


def _proven(pairs: Sequence[Pair], equal: Callable[[Sequence[Pair]], bool]) -> list[Pair]:
    """The pairs without those that change an output, found by halves."""
    if not pairs or equal(pairs):
        return list(pairs)
    half = len(pairs) // 2
    return [*_proven(pairs[:half], equal), *_proven(pairs[half:], equal)] if half else []


def _move(host: nn.Module) -> None:
    """Move statistics and all that is zero: a norm may be the identity, a branch count nothing."""
    with seeded(), torch.no_grad():
        for parameter in host.parameters():
            if parameter.is_floating_point() and not parameter.any():
                parameter.normal_(std=MOVED)
        for norm in filter(is_norm, host.modules()):
            mean, variance = norm.running_mean, norm.running_var
            assert isinstance(mean, Tensor)
            assert isinstance(variance, Tensor)
            mean.add_(MOVED * variance.sqrt() * torch.randn_like(mean))
            variance.mul_(1 + MOVED * torch.rand_like(variance))


def _outputs(host: nn.Module, example: Example) -> list[Tensor]:
    """All tensors that a network gives."""
    try:
        with (
            seeded(),
            quiet(),
            torch.no_grad(),
            torch.compiler.set_stance("force_eager"),
            choice.forced(layer="lean"),  # whoever watches, layers run as they will in prediction
        ):
            found = list(tensors(run(host, copy.deepcopy(example))))
    except Exception as error:  # whatever a network says of an input that it does not take
        told = in_one_line(error, 200)
        raise InputError(
            f"{type(host).__name__} did not run in float64 on the example ({told}); give an"
            " example= that it takes, or fold only its convolutional part"
        ) from error
    if not found or any(bool(t.isnan().any()) for t in found):
        raise InputError(
            f"the output of {type(host).__name__} has {'NaN' if found else 'no tensor'} in it, so"
            " it cannot be compared; give an example= that is like its usual input, and let it"
            " return tensors, in tuples, lists, mappings or dataclasses"
        )
    return found


def _equal(expected: list[Tensor], found: list[Tensor]) -> bool:
    def close(a: Tensor, b: Tensor) -> bool:
        sizes = a.double().nan_to_num(0.0, 0.0, 0.0).abs().flatten()
        return difference([a], [b]) <= TOLERANCE * float(sizes.max() if len(sizes) else 0)

    return len(expected) == len(found) and all(map(close, expected, found))


def _example(value: Any) -> Any:
    """An example input in the type and on the device of the proof."""
    if isinstance(value, Tensor):
        return exact(value)
    if isinstance(value, Mapping):
        return {name: _example(inner) for name, inner in value.items()}
    return type(value)(map(_example, value)) if type(value) in (tuple, list) else value


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:  # of many types
        raise InputError(
            f"{type(model).__name__} cannot be copied ({error}), and fold works on a copy; remove"
            " what hinders it, e.g. with torch.nn.utils.remove_weight_norm"
        ) from error


def _refuse_to_save(*_: Any, **__: Any) -> None:
    """Stand in for `save_pretrained`, whatever it takes."""
    raise InputError(
        "save_pretrained: the network is folded, and what loads the folder would build its norms"
        " again; save the original, and fold it after loading"
    )
