"""A recorded file, and how far our module is from it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import recipe
import torch
from adapters.subject import Adapter, Subject
from safetensors import safe_open
from torch import Tensor, nn

from pixelwise.ops.running import choice

FLOAT64_LIMIT = 1e-6
"""Largest error allowed in float64, relative to the largest reference value."""
FLOAT32_FACTOR = 20
"""How many times the authors' own float32 error is allowed in float32."""
FLOAT32_FLOOR = 1e-5
"""What is allowed in float32 at least: the recorded error can be zero."""
FLOAT32_UNKNOWN = 1e-3
"""What is allowed for gradients in float32 where only the output's error was recorded ..."""
PLAIN_FACTOR = 4
"""... or so many times the error of the plain forms in float32, which stand for the authors' own
error: where a softmax is nearly one weight, or its gradients cancel, that is 1e-2 (psa_s@author on
a map of 1x11, mmseg_ema in training)."""
NEGLIGIBLE = 1e-6
"""A parameter's gradient this small beside the largest of its file is zero in exact arithmetic:
its error is then taken relative to the largest."""


SECOND = {"prev_output": "input.1", "grad.prev_output": "grad.input.1"}
"""How the second input of a cascade's head is called in its files, and everywhere else."""


@dataclass(frozen=True)
class Recorded:
    """One file of `<system>/<case>.safetensors`."""

    path: Path
    metadata: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> "Recorded":
        with safe_open(path, "pt") as file:
            return cls(path, file.metadata())

    @property
    def system(self) -> str:
        return self.metadata["system"]

    def tensors(self) -> dict[str, Tensor]:
        with safe_open(self.path, "pt") as file:
            names = list(file.keys())
            return {SECOND.get(name, name): file.get_tensor(name) for name in names}

    def names(self, kind: str) -> list[str]:
        """What the file calls its inputs or outputs; none, if it does not."""
        return json.loads(self.metadata.get(kind, "[]"))

    def told(self, name: str) -> str:
        """What the file calls `output.0` or `grad.input.0`, if it names them."""
        kind, _, number = name.removeprefix("grad.").partition(".")
        names = dict(enumerate(self.names(f"{kind}s")))
        own = names.get(int(number)) if number.isdigit() else None
        return name if own is None else "grad." * name.startswith("grad.") + own

    def float32_error(self, kind: str, name: str, scale: float, output: float) -> float:
        """The authors' own relative error in float32 of the tensor `name`.

        Files tell it in four ways: relative, absolute per tensor with the largest value `scale`,
        and two that are absolute errors of the largest `output` alone.
        """
        exact = f"f32_relerr_{kind}"
        if exact in self.metadata:
            return float(self.metadata[exact])
        for key in ("float32_rerun_max_abs_diff", "fp32_max_abs_err"):
            text = self.metadata.get(key, "n/a")
            if text.startswith("{"):
                return json.loads(text).get(self.told(name), 0.0) / (scale or 1.0)
            if text != "n/a":
                return float(text) / output
        return 0.0


@dataclass(frozen=True)
class Deviation:
    """How far one tensor is from the recorded one, relative to its largest value."""

    name: str
    kind: str
    error: float
    limit: float


def numbered(tensors: dict[str, Tensor], name: str) -> dict[int, Tensor]:
    """The tensors `name`, `name.0`, `name.1`, ... by their number; `name` itself is number 0."""
    found = {0: tensors[name]} if name in tensors else {}
    for key, value in tensors.items():
        stem, _, number = key.rpartition(".")
        if stem == name and number.isdigit():
            found[int(number)] = value
    return dict(sorted(found.items()))


def starting(tensors: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value
        for key, value in tensors.items()
        for prefix in prefixes
        if key.startswith(prefix)
    }


def deviations(recorded: Recorded, adapter: Adapter, kind: torch.dtype) -> list[Deviation]:
    """Run our module on a recorded file, forward and backward, and compare all there is."""
    found = compare(recorded, adapter, kind)
    if kind != torch.float32 or all(d.error <= d.limit for d in found):
        return found
    forms = {name: "plain" for name, known in choice.FORMS.items() if "plain" in known}
    with choice.forced(**forms):
        plain = {d.name: PLAIN_FACTOR * d.error for d in compare(recorded, adapter, kind)}
    return [
        replace(d, limit=max(d.limit, plain[d.name])) if d.limit == FLOAT32_UNKNOWN else d
        for d in found
    ]


def compare(recorded: Recorded, adapter: Adapter, kind: torch.dtype) -> list[Deviation]:
    """Our module in the forms that are taken here, beside a recorded file."""
    tensors = recorded.tensors()
    subject = adapter(json.loads(recorded.metadata["config"]))
    state = starting(tensors, "state.")
    if not state and "state_recipe" in recorded.metadata:
        state = {key: recipe.tensor(key, shape) for key, shape in subject.shapes().items()}
    subject.load(state)
    subject.module.to(kind).train(recorded.metadata["mode"] == "train")
    for part in subject.module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0  # as when the vectors were recorded
    inputs = [
        value.to(kind).requires_grad_() if value.is_floating_point() else value
        for value in numbered(tensors, "input").values()
    ]
    outputs = subject.outputs(inputs, recorded.names("outputs"))
    wanted = numbered(tensors, "output")
    names = recorded.names("outputs")
    cotangents = numbered(tensors, "grad_output")
    if "cotangent" in names:  # stands among the outputs, and belongs to the first
        cotangents = {0: wanted.pop(names.index("cotangent"))}
    assert len(outputs) == len(wanted), f"{len(outputs)} outputs for {len(wanted)} recorded"
    if not cotangents and starting(tensors, "grad."):  # a loss
        cotangents = {0: torch.ones(())}
    if cotangents:
        sum((outputs[i] * g.to(kind)).sum() for i, g in cotangents.items()).backward()
    pairs = [("output", f"output.{i}", outputs[i].detach(), value) for i, value in wanted.items()]
    pairs += gradients(tensors, subject, inputs)
    if kind == torch.float64:
        after = starting(tensors, "after.", "state_after.")
        pairs += [("output", key, subject.own(key), value) for key, value in after.items()]
    return [measure(recorded, kind, pair, pairs) for pair in pairs]


Pair = tuple[str, str, Tensor | None, Tensor]
"""Kind of figure, name, ours, recorded."""


def gradients(tensors: dict[str, Tensor], subject: Subject, inputs: list[Tensor]) -> list[Pair]:
    of_inputs = numbered(tensors, "grad.input")
    pairs: list[Pair] = [
        ("grad_input", f"grad.input.{i}", inputs[i].grad, value) for i, value in of_inputs.items()
    ]
    for key, value in starting(tensors, "grad.").items():
        if key != "input" and not key.startswith("input."):
            pairs.append(("grad_params", f"grad.{key}", subject.own(key).grad, value))
    return pairs


def measure(recorded: Recorded, kind: torch.dtype, pair: Pair, pairs: list[Pair]) -> Deviation:
    figure, name, ours, reference = pair
    assert ours is not None, f"{name}: no gradient here"
    assert ours.numel() == reference.numel(), f"{name}: {ours.shape} for {reference.shape}"
    reference = reference.double()
    scale = reference.abs().max().item()
    if figure == "grad_params" and scale < NEGLIGIBLE * largest(pairs, figure):
        scale = largest(pairs, figure)
    difference = (ours.double().reshape(reference.shape) - reference).abs().max().item()
    limit = FLOAT64_LIMIT
    if kind == torch.float32:
        theirs = recorded.float32_error(figure, name, scale, largest(pairs, "output"))
        known = figure == "output" or f"f32_relerr_{figure}" in recorded.metadata
        limit = max(FLOAT32_FACTOR * theirs, FLOAT32_FLOOR if known else FLOAT32_UNKNOWN)
    return Deviation(name, figure, difference / scale if difference else 0.0, limit)


def largest(pairs: list[Pair], figure: str) -> float:
    """The largest recorded value of one kind of figure."""
    return max(value.abs().max().item() for kind, _, _, value in pairs if kind == figure)
