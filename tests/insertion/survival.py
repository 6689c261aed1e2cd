"""What a host may do to itself or have done to it, and how far its output moves by that.

Each way takes a network with insertions that count and gives something else to call: a copy, a
fused network, an exported program. Where the host alone cannot go a way, insertions need not.
"""

import copy
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils._pytree import tree_leaves

import pixelwise
from hosts import Host, image
from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.attached import Attached, insertions_of
from pixelwise.insertion.inserted import Inserted

LAYERS = ("se", "coord", "psa_s", "psa_p", "gc", "pam", "crisscross", "isa", "ema", "deform")
"""Gates of pixels and channels, windows, samplers, all pairs; three start as the identity."""
NEWER = (
    *("simam", "emsa", "caa", "triplet", "sge", "sk", "scoord", "shuffle(groups=4)", "gam", "nam"),
    *("ela", "mlca", "cpca", "scsa(window_size=4)", "strip", "external", "double", "cot", "lka"),
    *("lska", "lsk", "msca", "dat", "biformer", "msda", "natten", "focal", "cga", "agent", "axial"),
    *("hamburger", "ss2d"),
)
"""Those that came later go to a few hosts, `FEW`: with maps of four rows, and of 24 channels."""
FEW = (
    *("timm resnet50", "timm convnext", "timm swin", "timm vit", "smp pspnet", "hf swin"),
    "ultralytics yolov8n",
)
"""Convolutions and tokens, channels first and last, of several makers."""
IDENTITIES = ("gc", "pam", "crisscross")
TOLERANCE = 1e-4
"""Of an output's range."""
HALF = 0.2
"""In bfloat16, which rounds to one part in 256 at every step; layers that run are counted."""
VISIBLE = 5e-3
"""How far the output should move where one layer is left out."""
Call = Callable[[Tensor], Any]


class Subject(NamedTuple):
    """A network with insertions, and how to make another."""

    network: nn.Module
    inserted: Inserted | None
    another: Callable[[], nn.Module]
    """The same host with new layers at the same places."""
    pictures: Tensor


def tensors(output: Any) -> list[Tensor]:
    """All tensors of a nested output."""
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference, each relative to the range of its tensor in `one`."""
    if [t.shape for t in one] != [t.shape for t in other]:
        return float("inf")
    largest = 0.0
    for a, b in zip(one, other, strict=True):
        if not a.numel():
            continue
        a, b = a.double(), b.double()
        gap, wide = (a - b).abs().max(), a.max() - a.min()
        largest = max(largest, float(torch.nan_to_num(gap / wide.clamp_min(1e-30), nan=9e9)))
    return largest


def ask(call: Call, pictures: Tensor) -> list[Tensor]:
    """The output's tensors, in float32 where they are of another floating type."""
    with torch.no_grad():
        found = tensors(call(pictures))
    return [t.float() if t.is_floating_point() else t for t in found]


def show(subject: Subject) -> float:
    """Let every layer count: what is zero at its start gets values, gains larger ones if need be.

    The shift of a norm stays as it is: a large one would saturate the gate behind it.
    Returns how far the output moves where one layer is left out, at the place where that is least.
    """
    assert subject.inserted is not None
    generator = torch.Generator().manual_seed(7)
    moved = {
        attached: [parameter for parameter in attached.parameters() if not parameter.any()]
        for attached in subject.inserted.attached()
    }
    with torch.no_grad():
        for parameters in moved.values():
            for parameter in parameters:
                noise = 0.1 * torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise + 0.7 if parameter.numel() == 1 else noise)
        for _ in range(4):
            effects = {attached: effect(subject, attached) for attached in moved}
            if min(effects.values()) > VISIBLE:
                break
            for attached, found in effects.items():
                gains = moved[attached] if attached.gain is None else [attached.gain]
                for parameter in gains if found <= VISIBLE else ():
                    parameter.mul_(4)
    return min(effect(subject, attached) for attached in moved)


def effect(subject: Subject, attached: Attached) -> float:
    """How far the output moves where a layer is left out."""
    expected = ask(subject.network, subject.pictures)
    with attached.register_forward_hook(lambda module, inputs, output: inputs[0]):
        return distance(expected, ask(subject.network, subject.pictures))


def copied(subject: Subject) -> Call:
    return copy.deepcopy(subject.network)


def averaged(subject: Subject) -> Call:
    """A moving average that began before the last step of training."""
    average = AveragedModel(subject.another(), avg_fn=lambda old, new, count: new, use_buffers=True)
    for _ in range(2):
        average.update_parameters(subject.network)
    return average.module.eval()


def reloaded(subject: Subject) -> Call:
    """The `state_dict` in another copy of the host with the same insertions."""
    file = io.BytesIO()
    torch.save(subject.network.state_dict(), file)
    file.seek(0)
    other = subject.another().eval()
    other.load_state_dict(torch.load(file), strict=True)
    return other


def pickled(subject: Subject) -> Call:
    file = io.BytesIO()
    torch.save(subject.network, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def halved(subject: Subject) -> Call:
    """Rounding hides a small loss, so the layers that run are counted."""
    network = copy.deepcopy(subject.network).bfloat16()
    found = insertions_of(network)
    left = set() if found is None else set(found.attached())
    for attached in list(left):
        attached.register_forward_hook(lambda module, inputs, output: left.discard(module))

    def call(pictures: Tensor) -> Any:
        output = network(pictures.bfloat16())
        return torch.tensor(torch.nan) if left else output

    return call


def channels_last(subject: Subject) -> Call:
    network = copy.deepcopy(subject.network).to(memory_format=torch.channels_last)
    return lambda pictures: network(pictures.contiguous(memory_format=torch.channels_last))


def synchronised(subject: Subject) -> Call:
    return nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(subject.network)).eval()


def fused(subject: Subject) -> Call:
    """As the host does it, or its blocks; timm knows the names that those have for it."""
    network = copy.deepcopy(subject.network)
    if callable(getattr(network, "fuse", None)):
        found = network.fuse(**({"verbose": False} if hasattr(network, "yaml") else {}))
        return network if found is None else found
    if callable(getattr(network, "fuse_model", None)):
        network.fuse_model()
        return network
    from timm.utils.model import reparameterize_model

    names = ("fuse", "reparameterize", "switch_to_deploy")
    if not any(callable(getattr(m, name, None)) for m in network.modules() for name in names):
        raise InputError("fuse: the host has none; fold its norms")
    return reparameterize_model(network)


def traced(subject: Subject) -> Call:
    from torch.fx.experimental.optimization import fuse

    return fuse(subject.network)


def folded(subject: Subject) -> Call:
    return pixelwise.fold(subject.network, subject.pictures)


def compiled(subject: Subject) -> Call:
    torch._dynamo.reset()
    return torch.compile(subject.network, backend="eager")


def exported(subject: Subject) -> Call:
    program = torch.export.export(subject.network, (subject.pictures,))
    return program.module()


def onnx(subject: Subject) -> Call:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host.onnx"
        torch.onnx.export(
            subject.network,
            (subject.pictures,),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
        )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: [torch.from_numpy(y) for y in session.run(None, {name: x.numpy()})]


WAYS: dict[str, Callable[[Subject], Call]] = {
    "state_dict": reloaded,
    "torch.save": pickled,
    "deepcopy": copied,
    "EMA": averaged,
    "bfloat16": halved,
    "channels last": channels_last,
    "SyncBatchNorm": synchronised,
    "own fuse": fused,
    "fx fuse": traced,
    "fold": folded,
    "compile": compiled,
    "torch.export": exported,
    "ONNX": onnx,
}
LONG = ("compile", "torch.export", "ONNX")
"""Those that take seconds."""
SHORT = tuple(way for way in WAYS if way not in LONG)


@contextmanager
def told() -> Iterator[list[str]]:
    """What warnings say of layers that are skipped; others are silent."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield found
    found += [str(w.message) for w in seen if w.category.__name__ == "LayerSkipped"]


def go(way: str, subject: Subject, expected: list[Tensor]) -> float | str:
    """How far a way moves the output, or the line that it stopped with."""
    try:
        with told() as lines:
            gap = distance(expected, ask(WAYS[way](subject), subject.pictures))
    except InputError as error:
        return f"stop: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {in_one_line(error, 160)}"
    return f"stop: {lines[0]}" if lines else gap


def layers_of(host: str) -> tuple[str, ...]:
    """What is inserted into a host."""
    return (*LAYERS, *NEWER) if host in FEW else LAYERS


class Case:
    """A host, and what it is and can do without any insertion."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.network = host.make().eval()
        self.pictures = image(host, 1)
        self.state = copy.deepcopy(self.network.state_dict())
        self.start = self._outputs()
        self.alone: dict[str, float | str] = {}

    def _outputs(self) -> list[list[Tensor]]:
        """In eval mode, and for two pictures in train mode."""
        found = []
        for training in (False, True):
            torch.manual_seed(5)
            self.network.train(training)
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(tensors(self.network(image(self.host, 1 + training))))
        self.network.eval().load_state_dict(self.state, strict=True)
        return found

    def plan(self, layer: str) -> dict[str, str]:
        return {place.pattern: layer for place in self.host.places}

    def goes_alone(self, way: str) -> float | str:
        """What the way does to the host without insertions."""
        if way not in self.alone:
            subject = Subject(self.network, None, self.host.make, self.pictures)
            self.alone[way] = go(way, subject, ask(self.network, self.pictures))
        return self.alone[way]

    def row(self, layer: str, ways: tuple[str, ...]) -> dict[str, float | str]:
        """Insert the layer, compare at the start, and go all the ways with gains that count."""
        alone = {way: self.goes_alone(way) for way in ways}
        example = image(self.host, 2)
        inserted = pixelwise.insert(self.network, self.plan(layer), example=example, prove=False)
        try:
            found: dict[str, float | str] = {"places": len(inserted.places)}
            after = self._outputs()
            found |= {
                f"start, {mode}": 0.0 if all(map(torch.equal, a, b)) else distance(a, b)
                for mode, a, b in zip(("eval", "train"), self.start, after, strict=True)
            }
            state = inserted.host_state_dict()
            same = list(state) == list(self.state)
            same = same and all(map(torch.equal, state.values(), self.state.values()))
            found["keys"] = len(state) if same else "changed"

            def another() -> nn.Module:
                fresh = self.host.make()
                pixelwise.insert(fresh, self.plan(layer), example=example, prove=False)
                return fresh

            subject = Subject(self.network, inserted, another, self.pictures)
            found["effect"] = show(subject)
            expected = ask(self.network, self.pictures)
            for way in ways:
                if own := _refusal(way, alone[way]):
                    found[way] = f"host: {own}"
                else:
                    found[way] = go(way, subject, expected)
            return found
        finally:
            inserted.remove()


def _refusal(way: str, alone: float | str) -> str:
    """Why the host alone cannot go a way; empty if it can."""
    if isinstance(alone, str):
        return alone.removeprefix("stop: ")
    return "" if verdict(way, alone) == "kept" else f"its own output changes by {alone:.0e}"


def verdict(way: str, value: float | str) -> str:
    """ "kept", "stop", "host" where the host alone cannot, "lost" in silence, or "error"."""
    if isinstance(value, str):
        return next((k for k in ("stop", "host") if value.startswith(f"{k}: ")), "error")
    return "kept" if value <= (HALF if way == "bfloat16" else TOLERANCE) else "lost"
