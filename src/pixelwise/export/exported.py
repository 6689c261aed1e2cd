"""An exported file in the place of a network: what `predict` and `evaluate` ask, it answers."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.export.foreign import about_of
from pixelwise.export.metadata import About, parsed
from pixelwise.export.named import ONNX, runs_alone
from pixelwise.export.outputs import as_logits
from pixelwise.export.runner import Runner
from pixelwise.networks.model import Model
from pixelwise.networks.single_file import KEY

MULTIPLE = 32
"""Sides that networks take which do not take all."""


class ExportedFile(Model):
    """A file that runs without the network's code.

    Args:
        runner: The opened file.
        about: What it is.

    Shape: as `Segmenter`: (n, in_channels, h, w), normalised -> logits (n, k, h, w).
    """

    mark: Tensor

    def __init__(self, runner: Runner, about: About) -> None:
        super().__init__()
        self.runner, self.about, self.config = runner, about, about.config
        given = runner.input
        if given.bands is not None and given.bands != self.config.in_channels:
            raise InputError(
                f"{runner.name}: takes {given.bands} bands, but is said to take"
                f" {self.config.in_channels}; correct mean and std, one per band"
            )
        if given.height is not None and given.width is not None:
            self.fixed_size = (given.height, given.width)
        elif given.height != given.width:
            raise InputError(
                f"{runner.name}: only one side of its input is fixed; export it with both free"
            )
        if about.answers and self.task.key == "keypoints":
            raise InputError(
                f"{runner.name}: says points, not the maps that they are read from; export it"
                " without --answer"
            )
        self.decides = about.answers and self.config.task in ("multiclass", "binary")
        # A buffer: it moves with the network, and tells it from others.
        self.register_buffer("mark", _digest(Path(runner.name)))

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.mark.device

    def forward(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """Logits at the input's size; of points, as the file gives them.

        A file that fails at a size is tried at multiples of 32.
        """
        config = self.config
        count, bands, *size = image.shape
        if bands != config.in_channels:
            raise InputError(
                f"{self.runner.name}: takes {config.in_channels} bands, got {bands}; give as many"
            )
        if self.fixed_size is not None and tuple(size) != self.fixed_size:
            raise InputError(
                f"{self.runner.name}: takes pictures of {self.fixed_size}, got {tuple(size)}; give"
                " such, or export it with free sizes"
            )
        if not count:
            rows, columns = (-(-side // self.task.stride) for side in size)
            return image.new_zeros(0, self.task.outputs, rows, columns)
        below, right = (-side % MULTIPLE for side in size)
        try:
            return self._logits(image)
        except InputError:
            if self.task.stride > 1 or not (below or right):
                raise
            more = F.pad(image, (0, right, 0, below), mode="replicate")
            try:
                return self._logits(more)[..., : size[0], : size[1]]
            except InputError:
                pass
            raise

    def _logits(self, image: Tensor) -> Tensor:
        given, size = self.runner.input, image.shape[2:]
        values = self.values(image)
        if given.bands_last:
            values = values.movedim(1, -1).contiguous()
        step = given.batch or len(values)
        found = [self._batch(part, step) for part in torch.split(values, step)]
        logits = as_logits(torch.cat(found), self.about.output, self.task, self.runner.name)
        if self.task.stride == 1 and logits.shape[2:] != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits.to(image.device)

    def _batch(self, part: Tensor, step: int) -> Tensor:
        """What the file says of a batch; one that is too small is filled up."""
        count = len(part)
        if self.runner.input.batch is not None and count < step:
            part = torch.cat([part, part[-1:].expand(step - count, *part.shape[1:])])
        found = self.runner(part, self.device)[:count]
        if self.runner.input.bands_last and found.ndim == 4:
            found = found.movedim(-1, 1)
        return found

    def values(self, image: Tensor) -> Tensor:
        """The picture as the file takes it: raw where it normalises itself."""
        dtype, config = self.runner.input.dtype, self.config
        if not self.about.normalises and dtype.is_floating_point:
            return image.to(dtype)
        mean, std = (image.new_tensor(one)[:, None, None] for one in (config.mean, config.std))
        raw = (image * std + mean) * config.scale
        if dtype.is_floating_point:
            return raw.to(dtype)
        raw, most = raw.round(), torch.iinfo(dtype).max
        if image.numel() and not (float(raw.min()) >= 0 and float(raw.max()) <= most):
            raise InputError(
                f"{self.runner.name}: takes values of 0 to {most}, the picture has"
                f" {float(raw.min()):g} to {float(raw.max()):g}; give pictures of that type"
            )
        return raw.to(torch.int64).to(dtype)


def open_exported(source: Any, stated: Mapping[str, Any] | None = None) -> ExportedFile:
    """An exported file, or an `onnxruntime.InferenceSession`, as a network.

    Args:
        source: `.onnx`, `.pt2`, TorchScript (`.ts`, `.torchscript`), or a session.
        stated: What is known of a file that does not say it: names, mean, std, scale, task, ...;
            by default what stands in the JSON file beside it.

    Raises:
        InputError: Something is not installed, the file cannot be read, or too little is known.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    runner: Runner
    if path is None or path.suffix.lower() in ONNX:
        from pixelwise.export.onnx_runner import OnnxRunner

        runner = OnnxRunner(source)
    elif runs_alone(path):
        from pixelwise.export.program_runner import ProgramRunner

        runner = ProgramRunner(path)
    else:
        raise InputError(f"{path}: is no exported file; give .onnx, .pt2 or .torchscript")
    text = runner.told.get(KEY)
    known = None if text is None else parsed(text, Path(runner.name))
    return ExportedFile(runner, known or about_of(runner, path, stated)).eval()


def is_session(thing: Any) -> bool:
    """Whether it is an `onnxruntime.InferenceSession`."""
    return type(thing).__module__.startswith("onnxruntime") and hasattr(thing, "get_modelmeta")


def _digest(path: Path) -> Tensor:
    found = hashlib.sha256(str(path).encode())
    if path.is_file():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
    return torch.tensor([*found.digest()], dtype=torch.uint8)
