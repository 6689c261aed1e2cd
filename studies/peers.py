"""What one would take instead: the same mechanisms in other packages, tried side by side.

    pip install fightingcv-attention segmentation-models-pytorch --no-deps
    python studies/peers.py [--out docs/comparison.md]

Each module, theirs and ours, gets the authors' recorded weights where its parameters can hold
them, and is asked for the authors' output (float64), for maps of four sizes, for bfloat16, for a
training step, and for torch.export with free height and width, checked at a second size.
"""

import argparse
import copy
import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pixelwise.layers.registry import create

VECTORS = Path(__file__).parents[1] / "tests" / "golden" / "vectors"
SIZES = ((1, 1), (1, 17), (7, 5), (33, 64))
SAME = 1e-6
PACKAGES = {
    "fightingcv": "fightingcv-attention",
    "timm": "timm",
    "smp": "segmentation-models-pytorch",
    "pixelwise": "pixelwise",
}


@dataclass(frozen=True)
class Peer:
    """One class of a package, and the recording it is held against."""

    package: str
    path: str
    """Module and class."""
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] | None = None
    """The authors' beginnings of names -> the package's; None where the parameters differ."""
    differs: str = ""
    """How, where it is known."""


@dataclass(frozen=True)
class Mechanism:
    """A mechanism, its recording, ours and theirs."""

    key: str
    vector: str
    """The recording; empty where the first package is the source itself."""
    channels: int
    options: Mapping[str, Any]
    peers: tuple[Peer, ...]


F, L = "fightingcv_attention.attention.", "timm.layers."
SAME_NAMES: Mapping[str, str] = {"": ""}
MECHANISMS = (
    Mechanism(
        "psa_p",
        "psa_p@author/c16_b2_7x9",
        16,
        {},
        (
            Peer(
                "fightingcv",
                F + "PolarizedSelfAttention:ParallelPolarizedSelfAttention",
                (16,),
                differs="the paper's form, with biases: no released weights fit",
            ),
        ),
    ),
    Mechanism(
        "coord",
        "coord_att@author/c32_b2_7x9",
        32,
        {},
        (
            Peer("fightingcv", F + "CoordAttention:CoordAtt", (32, 32), names=SAME_NAMES),
            Peer(
                "timm",
                L + "coord_attn:CoordAttn",
                (32,),
                {"rd_ratio": 1 / 32},
                differs="no biases: the authors' weights have some",
            ),
        ),
    ),
    Mechanism(
        "cbam",
        "cbam@author/c32_r16_b2_7x9",
        32,
        {},
        (
            Peer(
                "fightingcv",
                F + "CBAM:CBAMBlock",
                (32, 16, 7),
                differs="no biases in the MLP, no batch norm, adds the input",
            ),
            Peer(
                "timm",
                L + "cbam:CbamModule",
                (32,),
                differs="no biases in the MLP, mean before max",
            ),
        ),
    ),
    Mechanism(
        "bam",
        "bam@author/c32_b2_9x9",
        32,
        {},
        (
            Peer(
                "fightingcv",
                F + "BAM:BAMBlock",
                (32, 16),
                differs="one more layer in the MLP; cannot run as published",
            ),
        ),
    ),
    Mechanism(
        "se",
        "se@linear_nobias/c32_r16_b2_7x9",
        32,
        {"bias": False},
        (
            Peer("fightingcv", F + "SEAttention:SEAttention", (32, 16), names=SAME_NAMES),
            Peer(
                "timm",
                L + "squeeze_excite:SqueezeExcite",
                (32,),
                {"rd_ratio": 1 / 16, "rd_divisor": 1, "bias": False},
                names={"fc.0": "fc1", "fc.2": "fc2"},
            ),
        ),
    ),
    Mechanism(
        "eca",
        "",
        32,
        {},
        (
            Peer("timm", L + "eca:EcaModule", (32,), names=SAME_NAMES),
            Peer(
                "fightingcv",
                F + "ECAAttention:ECAAttention",
                differs="a bias, and a kernel of 3 for any width",
            ),
        ),
    ),
    Mechanism(
        "scse",
        "",
        32,
        {},
        (
            Peer(
                "smp",
                "segmentation_models_pytorch.base.modules:SCSEModule",
                (32,),
                names=SAME_NAMES,
            ),
        ),
    ),
    Mechanism(
        "crisscross",
        "criss_cross@author/c16_b2_7x9",
        16,
        {"recurrence": 1},
        (
            Peer(
                "fightingcv", F + "CrissCrossAttention:CrissCrossAttention", (16,), names=SAME_NAMES
            ),
        ),
    ),
    Mechanism(
        "pam",
        "pam@author/c16_7x9",
        16,
        {},
        (
            Peer(
                "fightingcv",
                F + "DANet:PositionAttentionModule",
                (),
                {"d_model": 16, "H": 7, "W": 9},
                differs="scaled softmax, an output projection and a convolution more, no gain",
            ),
        ),
    ),
    Mechanism(
        "acmix",
        "acmix@author/k7_h4_9x11",
        16,
        {},
        (
            Peer(
                "fightingcv",
                F + "ACmixAttention:ACmix",
                (16, 16),
                names=SAME_NAMES,
            ),
        ),
    ),
    Mechanism(
        "gc",
        "gc_context_block@author/att_add_r16_b2_7x9",
        64,
        {"reduction": 16},
        (
            Peer(
                "timm",
                L + "global_context:GlobalContext",
                (64,),
                {"rd_channels": 4, "fuse_add": True, "fuse_scale": False},
                names={
                    "conv_mask": "conv_attn",
                    "channel_add_conv.0": "mlp_add.fc1",
                    "channel_add_conv.1": "mlp_add.norm",
                    "channel_add_conv.3": "mlp_add.fc2",
                },
            ),
        ),
    ),
    Mechanism(
        "nonlocal",
        "nonlocal2d@mmcv/embedded_gaussian_b2_7x9",
        16,
        {},
        (
            Peer(
                "timm",
                L + "non_local_attn:NonLocalAttn",
                (16,),
                {"rd_channels": 8},
                differs="a batch norm after the output projection",
            ),
        ),
    ),
    Mechanism(
        "fpa",
        "fpa@smp/c32_16_9x15",
        32,
        {"out_channels": 16},
        (
            Peer(
                "smp",
                "segmentation_models_pytorch.decoders.pan.decoder:FPABlock",
                (32, 16),
                names=SAME_NAMES,
            ),
        ),
    ),
    Mechanism(
        "gau",
        "gau@smp/bil_24_16",
        24,
        {"guide_channels": 16},
        (
            Peer(
                "smp",
                "segmentation_models_pytorch.decoders.pan.decoder:GAUBlock",
                (24, 16),
                names=SAME_NAMES,
            ),
        ),
    ),
)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def recording(vector: str) -> dict[str, Tensor]:
    with safe_open(VECTORS / f"{vector}.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def from_source(mechanism: Mechanism) -> dict[str, Tensor]:
    """Numbers of the first package, where nothing else is recorded."""
    module, x = built(mechanism.peers[0]), torch.randn(2, mechanism.channels, 7, 9).double()
    state = {f"state.{name}": value for name, value in module.state_dict().items()}
    with torch.no_grad():
        return state | {"input": x, "output": module.double()(x)}


def built(peer: Peer) -> nn.Module:
    module, _, name = peer.path.partition(":")
    return getattr(importlib.import_module(module), name)(*peer.arguments, **peer.options).eval()


def renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        theirs = max((n for n in names if not n or key.startswith(n + ".")), key=len)
        rest = key.removeprefix(theirs).removeprefix(".")
        found[".".join(part for part in (names[theirs], rest) if part)] = value
    return found


def held(state: Mapping[str, Tensor]) -> list[tuple[int, ...]]:
    """The shapes of a state's weights, axes of size 1 aside, whatever their names."""
    return sorted(
        tuple(size for size in value.shape if size != 1)
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    )


def load(module: nn.Module, state: dict[str, Tensor]) -> None:
    own = module.state_dict()
    fitting = {k: v.reshape(own[k].shape) if k in own else v for k, v in state.items()}
    module.load_state_dict(fitting)


def agreement(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    given = given_inputs(tensors)
    wanted = tensors.get("output", tensors.get("output.0"))
    with torch.no_grad():
        found = copy.deepcopy(module).double()(*(x.double() for x in given))
    error = ((found - wanted).abs().max() / wanted.abs().max()).item()
    return f"yes ({error:.0e})" if error <= SAME else f"**no** ({error:.0e})"


def given_inputs(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    return [tensors[k] for k in ("input", "input.0", "input.1") if k in tensors]


def tried(what: Callable[[], object]) -> str:
    try:
        what()
    except Exception as error:
        return "**no**" if not str(error) else f"**no** ({type(error).__name__})"
    return "yes"


def made(inputs: list[Tensor], height: int, width: int, batch: int = 2) -> list[Tensor]:
    """Inputs like the recorded ones for a map of this size; a second one is half as large."""
    sizes = [(height, width), ((height + 1) // 2, (width + 1) // 2)]
    return [torch.randn(batch, x.shape[1], *size) for x, size in zip(inputs, sizes, strict=False)]


def sizes(module: nn.Module, inputs: list[Tensor]) -> str:
    good = [size for size in SIZES if tried(lambda s=size: module(*made(inputs, *s))) == "yes"]
    if len(good) == len(SIZES):
        return "all"
    return f"**{len(good)} of {len(SIZES)}**" if good else "**none**"


def export(module: nn.Module, inputs: list[Tensor]) -> str:
    free = tuple({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO} for _ in inputs)

    def run() -> None:
        program = torch.export.export(module, tuple(made(inputs, 16, 18)), dynamic_shapes=free)
        other = made(inputs, 23, 31)
        torch.testing.assert_close(program.module()(*other), module(*other), rtol=1e-4, atol=1e-4)

    return tried(run)


def half(module: nn.Module, inputs: list[Tensor]) -> str:
    def run() -> None:
        given = [x.bfloat16() for x in made(inputs, 16, 18)]
        wanted = module(*(x.float() for x in given))
        found = copy.deepcopy(module).bfloat16()(*given).float()
        assert (found - wanted).abs().max() <= 0.05 * wanted.abs().max()

    return tried(run)


def memory(module: nn.Module, inputs: list[Tensor]) -> str:
    """The largest tensor made, as a multiple of the input, at 128 x 128 pixels."""
    given = made(inputs, 128, 128, batch=1)
    try:
        with torch.no_grad(), Largest() as seen:
            module(*given)
    except Exception:
        return "-"
    return f"{seen.elements / given[0].numel():.1f}"


def row(
    name: str, package: str, module: nn.Module, verdict: str, inputs: list[Tensor]
) -> list[str]:
    def step() -> None:
        twin = copy.deepcopy(module).train()
        twin(*made(inputs, 16, 18)).square().sum().backward()

    runs = tried(lambda: module(*made(inputs, 16, 18)))
    return [
        name,
        package,
        runs,
        verdict,
        sizes(module, inputs),
        half(module, inputs),
        tried(step),
        export(module, inputs),
        memory(module, inputs),
    ]


HEAD = """# The same mechanisms in other packages

Written by `python studies/peers.py`: {versions}.

Each module loads the authors' recorded weights if its parameters match. Its output in float64 is
compared with that of the authors (error relative to the largest value). Nothing is recorded for
`eca` and `scse`; they are compared with the first other package. The sizes are 1x1, 1x17, 7x5 and
33x64. bfloat16 must be within 5 % of float32. A training step is forward and backward. Export is
`torch.export` with dynamic height and width, run at a second size. The last column is the largest
tensor allocated at 128x128 pixels, as a multiple of the input.
"""
COLUMNS = (
    "mechanism",
    "package",
    "runs",
    "agrees with the authors",
    "sizes",
    "bfloat16",
    "trains",
    "export",
    "largest tensor",
)


def rows() -> list[list[str]]:
    found = []
    for mechanism in MECHANISMS:
        torch.manual_seed(0)
        try:
            tensors = recording(mechanism.vector) if mechanism.vector else from_source(mechanism)
        except ModuleNotFoundError:
            found.append(absent(mechanism, mechanism.peers[0]))
            continue
        inputs = given_inputs(tensors)
        state = {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}
        ours: Any = create(mechanism.key, mechanism.channels, **mechanism.options).eval()
        ours.load_reference(state)
        found.append(row(f"`{mechanism.key}`", "pixelwise", ours, agreement(ours, tensors), inputs))
        for peer in mechanism.peers:
            found.append(peer_row(mechanism, peer, state, tensors, inputs))
    return found


def absent(mechanism: Mechanism, peer: Peer) -> list[str]:
    return [f"`{mechanism.key}`", peer.package, "not installed", *["-"] * 6]


def peer_row(
    mechanism: Mechanism,
    peer: Peer,
    state: dict[str, Tensor],
    tensors: Mapping[str, Tensor],
    inputs: list[Tensor],
) -> list[str]:
    try:
        module = built(peer)
    except ModuleNotFoundError:
        return absent(mechanism, peer)
    if peer.names is None:
        assert held(module.state_dict()) != held(state), f"{peer.path} could hold the weights"
        verdict = f"**no**, cannot hold their weights: {peer.differs}"
    else:
        load(module, renamed(state, peer.names))
        try:
            verdict = agreement(module, tensors)
        except Exception as error:
            verdict = f"**fails** ({type(error).__name__})"
    return row(f"`{mechanism.key}`", peer.package, module.float(), verdict, inputs)


def versions() -> str:
    told = [f"torch {torch.__version__}"]
    for short, name in PACKAGES.items():
        try:
            told.append(f"{short} {version(name)}")
        except PackageNotFoundError:
            told.append(f"{short} not installed")
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where to write the table; default: print it")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    table = [list(COLUMNS), ["---"] * len(COLUMNS), *rows()]
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    text = HEAD.format(versions=versions()) + "\n" + "\n".join(lines) + "\n"
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
