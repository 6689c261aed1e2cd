"""What a process is asked to measure, and each form of it as a call without arguments."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.benchmarks.cases import Case
from pixelwise.benchmarks.peers import peer_module
from pixelwise.benchmarks.settings import AUTHORS, COMPILED, OURS, PLAIN
from pixelwise.benchmarks.subject import build, disturb, inputs, shapes
from pixelwise.layers.benchmarked import Benchmarked, Size
from pixelwise.ops.running import choice

Call = Callable[[], object]
SMALL_MAP, SMALL_IMAGE = 4, 64
"""Sides of the inputs of a first call, with which libraries set themselves up."""
ALL_PLAIN = dict.fromkeys(choice.FORMS, "plain")
"""Every layer as it is written in its file, and every operation that a network has beside them."""


@dataclass(frozen=True)
class Work:
    """One case at one size in one mode, and how it is measured."""

    case: Case
    size: Size
    training: bool
    forms: tuple[str, ...]
    device: str = "cpu"
    dtype: str = "float32"
    backbone: str = "resnet50"
    forced: Mapping[str, str] | None = None
    channels_last: bool = False
    seconds: float = 2.5
    repeats: int = 3

    def small(self) -> "Work":
        """The same of a small map."""
        side = SMALL_IMAGE if self.case.is_network else SMALL_MAP
        return replace(self, size=(*self.size[:2], side, side))


@dataclass
class Subject:
    """A module with its inputs, and the forms that it can take."""

    work: Work
    module: nn.Module
    given: list[Tensor]

    def call(self, form: str) -> Call | None:
        """One call of a form, with gradients in training; None where there is no such form."""
        module, learnt = self._form(form), self.module
        if module is None:
            return None
        if form not in (OURS, PLAIN, AUTHORS, COMPILED):
            learnt = module
        if self.work.training:
            return _training(module, learnt, self.given)
        return functools.partial(_forward, module, self.given)

    def _form(self, form: str) -> Any:
        case = self.work.case
        if form == OURS:
            return functools.partial(_forced, self.module, dict(self.work.forced or {}))
        if form == COMPILED:
            return torch.compile(self.module, dynamic=False)
        if form in (PLAIN, AUTHORS):
            forms = written_forms(form, self.module)
            return None if forms is None else functools.partial(_forced, self.module, forms)
        module = peer_module(form, case, self.module, [tuple(x.shape) for x in self.given])
        if module is None:
            return None
        kind = {"device": self.work.device, "dtype": getattr(torch, self.work.dtype)}
        return module.to(**kind).train(self.work.training)


def authors_forms(module: nn.Module) -> dict[str, str]:
    """Operation -> form, of all layers in a module that state what their authors' code costs."""
    layers = [part for part in module.modules() if isinstance(part, Benchmarked)]
    return {operation: form for one in layers for operation, form in one.authors_forms.items()}


def written_forms(form: str, module: nn.Module) -> dict[str, str] | None:
    """What is forced for the plain form or the authors'; None where there is none of its own."""
    if form == PLAIN:
        return ALL_PLAIN
    found = authors_forms(module)
    return {**ALL_PLAIN, **found} if found else None


def prepare(work: Work) -> Subject:
    """Build the module and its inputs where they are to be measured."""
    torch.manual_seed(0)
    kind: dict[str, Any] = {"device": work.device, "dtype": getattr(torch, work.dtype)}
    module = build(work.case, work.size, backbone=work.backbone)
    disturb(module)
    module.to(**kind).train(work.training)
    given = inputs(shapes(work.case, module, work.size, training=work.training), **kind)
    if work.channels_last:
        given = [x.contiguous(memory_format=torch.channels_last) for x in given]
    return Subject(work, module, given)


def difference(subject: Subject, form: str) -> float:
    """By how much our output and that of a written form differ, relative.

    In float64 on a small map; turns the module into one of float64 and eval mode.
    """
    work = subject.work
    double = subject.module.to("cpu", torch.float64).eval()
    side = SMALL_IMAGE if work.case.is_network else 9
    wanted = shapes(work.case, double, (1, work.size[1], side, side - 2), training=False)
    small = inputs(wanted, dtype=torch.float64)
    with torch.no_grad():
        ours = double(*small)
        theirs = _forced(double, written_forms(form, double) or {}, *small)
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _forced(module: nn.Module, forms: Mapping[str, str], *given: Tensor) -> Tensor:
    with choice.forced(**forms):
        return module(*given)


def _forward(module: Callable[..., Any], given: list[Tensor]) -> None:
    with torch.no_grad():
        module(*given)


def _training(module: Callable[..., Any], learnt: nn.Module, given: list[Tensor]) -> Call:
    parameters = [p for p in learnt.parameters() if p.requires_grad]
    cotangents: dict[torch.Size, Tensor] = {}

    def train() -> None:
        images = [x.detach().requires_grad_() for x in given]
        y = module(*images)
        if y.shape not in cotangents:
            cotangents[y.shape] = torch.randn(y.shape, dtype=y.dtype, device=y.device)
        torch.autograd.grad(y, [*images, *parameters], cotangents[y.shape], allow_unused=True)

    return train
