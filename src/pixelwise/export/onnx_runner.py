"""An ONNX file, run by ONNX Runtime: on the CPU, or on an NVIDIA GPU where it was built for one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.export.runner import Input, chosen
from pixelwise.shortage import is_shortage

TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
    "tensor(uint16)": torch.uint16,
}
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
SHORTAGE = ("failed to allocate", "bad allocation", "bad_alloc", "out of memory")


class OnnxRunner:
    """A session.

    Args:
        source: The file, or an `onnxruntime.InferenceSession`.

    Raises:
        InputError: onnxruntime is not installed, the file cannot be read, or takes no pictures.
    """

    kind = "ONNX Runtime"

    def __init__(self, source: Any) -> None:
        self.path = Path(source) if isinstance(source, str | Path) else None
        self.name = "session" if self.path is None else str(self.path)
        self.session = source if self.path is None else _session(self.path, "cpu", self.name)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1:
            names = ", ".join(one.name for one in inputs[:6])
            raise InputError(
                f"{self.name}: takes {len(inputs)} inputs ({names}); must take one, the picture:"
                " export it so"
            )
        (self._given,) = inputs
        shape = tuple(one if isinstance(one, int) and one > 0 else None for one in inputs[0].shape)
        dtype = TYPES.get(self._given.type)
        if dtype is None or len(shape) != 4:
            raise InputError(
                f"{self.name}: takes {self._given.type} of {len(shape)} axes; must be numbers"
                " (batch, bands, height, width)"
            )
        self.input = Input.of(shape, dtype)
        self._wanted = outputs[chosen([one.name for one in outputs], self.name)].name
        self._others: dict[str, Any] = {}

    @property
    def told(self) -> Mapping[str, str]:
        """Its `metadata_props`."""
        found: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        return found

    def __call__(self, values: Tensor, device: torch.device) -> Tensor:
        """One batch.

        Raises:
            InputError: ONNX Runtime cannot run it.
        """
        session = self._on(device)
        numbers = values.detach().cpu().contiguous().numpy()
        try:
            (found,) = session.run([self._wanted], {self._given.name: numbers})
        except Exception as error:  # its exceptions have no common base
            text = _told(error)
            if is_shortage(error) or any(sign in text.lower() for sign in SHORTAGE):
                raise MemoryError(text) from error
            size = " x ".join(map(str, values.shape))
            raise InputError(
                f"{self.name}: ONNX Runtime cannot run it on {size} ({text[:160]}); give other"
                " sizes, or export it with free ones"
            ) from error
        return torch.from_numpy(found)

    def _on(self, device: torch.device) -> Any:
        if device.type != "cuda" or self.path is None:
            return self.session
        place = str(device)
        if place not in self._others:
            self._others[place] = _session(self.path, place, self.name)
        return self._others[place]


def _session(path: Path, device: str, name: str) -> Any:
    runtime = _runtime(name)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # OMP_NUM_THREADS is in it
    options.log_severity_level = 3
    providers: list[Any] = [CPU]
    if device.startswith("cuda"):
        if CUDA not in runtime.get_available_providers():
            raise InputError(
                f"device={device!r}: this ONNX Runtime has no CUDA; pip install onnxruntime-gpu, or"
                " take 'cpu'"
            )
        number = int(device.partition(":")[2] or 0)
        providers = [(CUDA, {"device_id": number}), CPU]
    try:
        return runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its exceptions have no common base
        if not path.is_file():
            raise InputError(f"{path}: no such file; check the path") from error
        if not path.stat().st_size:
            raise InputError(f"{path}: is empty (0 bytes); export or copy it again") from error
        raise InputError(
            f"{path}: ONNX Runtime cannot read it ({_told(error)[:200]}); it may be truncated or"
            " another kind of file: export or copy it again"
        ) from error


def _runtime(name: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{name}: onnxruntime is needed to run it; pip install 'pixelwise[export]'"
        ) from error
    return onnxruntime


def _told(error: Exception) -> str:
    """In one line, without the number that it begins with."""
    text = " ".join(str(error).split())
    return text.split(" : ", 3)[-1] if text.startswith("[ONNXRuntimeError]") else text
