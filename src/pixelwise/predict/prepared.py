"""A network as it predicts quickest: on a CPU channels last and batch norms folded; bfloat16.

Measured on two cores of an AMD EPYC with AVX512-BF16, against the network as it was built (seconds
of the processor, medians of runs in turn):

    fcn, ResNet-18          channels last 1.11x, folded too 1.11x, in bfloat16 2.1x
    isanet, ResNet-50       1.04x, 1.06x, 1.8x
    hrnetv2                 1.20x, 1.30x, 2.0x
    segformer, MiT-B0       0.98x, 1.03x, 1.2x

On an Intel Xeon with AMX isanet took 1.31x, 1.40x and 4.3x. Folding first proves itself in
float64, which takes as long as 2 to 13 pictures, so that it pays where many come. The logits stay
channels last: the largest class of a pixel is found there in a tenth of the time.
"""

import copy
import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.compiling.telling import Compiling
from pixelwise.errors import InputError
from pixelwise.export.exported import ExportedFile
from pixelwise.folding import fold
from pixelwise.language import message, spoken, translate
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.model import Model
from pixelwise.tasks.base import Task

MANY = 200
"""From so many pictures on, folding is worth its proof."""
PIXELS = 2**17
"""What such a picture has, about."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What a network computes in.

    Args:
        precision: "32" or "bf16".
        why: In words; empty where nobody asked.
    """

    precision: str = "32"
    why: str = ""

    def tell(self, say: Callable[[str], None]) -> None:
        """Say it, where it was asked for."""
        if self.why:
            bits = translate("32 bits") if self.precision == "32" else "bfloat16"
            say(translate("bits    {bits}: {why}").format(bits=bits, why=spoken(self.why)))


FULL = Chosen()


def chosen(asked: str, model: Model, device: str | torch.device) -> Chosen:
    """What `--precision` means for a network on a device.

    Args:
        asked: "32", "bf16", or "auto": bfloat16 where the processor has instructions for it.
        model: The network.
        device: Where it runs.

    Raises:
        InputError: An exported file is to compute in bfloat16.
    """
    if asked == "32":
        return FULL
    if isinstance(model, ExportedFile):
        if asked == "bf16":
            raise InputError(
                "precision='bf16': an exported file has the numbers that it was written with; leave"
                " it out, or give the run's folder"
            )
        return Chosen("32", message("an exported file has the numbers that it was written with"))
    has = instructions(torch.device(device))
    if asked == "bf16":
        return Chosen("bf16", message("asked for"))
    if has:
        return Chosen("bf16", message("{device} has {has}", device=device, has=has))
    return Chosen("32", message("{device} has no instructions for bfloat16", device=device))


def instructions(device: torch.device) -> str:
    """What a device multiplies bfloat16 with; empty: nothing."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if device.type != "cpu":
        return ""  # not measured
    found = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    asking = {name: getattr(torch.cpu, ask, bool) for name, ask in found.items()}
    return next((name for name, ask in asking.items() if ask()), "")


def prepared(
    model: Model, precision: str = "32", pictures: int = 1, compiling: Compiling | None = None
) -> Model:
    """The network as it predicts quickest where it is; the one given stays as it is.

    What this one is asked for beside logits, its config, task and weights, is that of the one
    given. Its logits differ by rounding alone, but in bfloat16.

    Args:
        model: In eval mode.
        precision: "32" or "bf16".
        pictures: How many it is going to see.
        compiling: Lets layers of the quicker form run compiled, where it is asked to.
    """
    written = isinstance(model, ExportedFile)
    last = model.device.type == "cpu" and not written
    quick = _quick(model, pictures) if last else model
    if compiling is not None:
        compiling.take(quick)
    if written or (not last and precision == "32"):
        return model
    return Prepared(model, quick, precision)


def _quick(model: Model, pictures: int) -> Model:
    network: Any = None
    if pictures >= MANY:
        with suppress(InputError):  # it does not run in float64, say
            network = fold(model)
    try:
        network = copy.deepcopy(model) if network is None else network
    except Exception:  # of many types: it cannot be copied
        return model
    quick: Model = network.to(memory_format=torch.channels_last).eval()
    return quick


class Prepared(Model):
    """A network that is run by a quicker form of it.

    Args:
        original: Says what it is.
        network: Gives the logits; it stays in eval mode.
        precision: "32" or "bf16".
    """

    def __init__(self, original: Model, network: Model, precision: str) -> None:
        super().__init__()
        self.original = original
        self.network = [network]  # in a list: its weights are those of the original
        self.precision = precision
        self.training = original.training
        self.fixed_size, self.decides = original.fixed_size, original.decides

    @property
    def config(self) -> ModelConfig:  # type: ignore[override]
        """That of the original."""
        return self.original.config

    @property
    def task(self) -> Task:
        """That of the original."""
        return self.original.task

    def train(self, mode: bool = True) -> "Prepared":
        """Set the mode of the original; the quicker form stays as it is."""
        super().train(mode)
        return self

    def forward(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """The logits."""
        (network,) = self.network
        if image.device.type == "cpu":
            image = image.contiguous(memory_format=torch.channels_last)
        if self.precision == "32":
            full: Tensor = network(image)
            return full
        with torch.autocast(image.device.type, torch.bfloat16):
            half: Tensor = network(image)
        return half.float()
