"""ONNX files in fewer bits: weights and sums in float16, or in whole numbers of 8 bits.

int8 is static: the range of every map is measured on pictures, here those for training. Weights
are symmetric and have a step per channel. Input and output stay float32.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pixelwise.errors import InputError, in_one_line
from pixelwise.export.metadata import add_properties
from pixelwise.export.onnx_file import INPUT
from pixelwise.export.program import quietly
from pixelwise.shortage import is_shortage

KEY = "pixelwise_precision"
"""Of the metadata: what was lost and won."""


def halve(source: Path, target: Path) -> None:
    """Write an ONNX file anew with weights and sums in float16.

    Raises:
        InputError: It cannot be.
    """

    def convert() -> None:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(onnx.load(source), keep_io_types=True)
        onnx.save(model, target)

    _converted(convert, source, "half")


def quantize(source: Path, target: Path, inputs: Iterable[Tensor]) -> None:
    """Write an ONNX file anew with weights and maps in 8 bits.

    Args:
        source: The file.
        target: The new one.
        inputs: Batches as the file takes them, like those that it will see.

    Raises:
        InputError: It cannot be.
    """

    def convert() -> None:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        simple = target.with_name(f"simple-{target.name}")
        try:
            quant_pre_process(str(source), str(simple), skip_symbolic_shape=True)
            quantize_static(
                str(simple),
                str(target),
                _reader(inputs),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"WeightSymmetric": True},
            )
        finally:
            simple.unlink(missing_ok=True)

    _converted(convert, source, "int8")


def _reader(inputs: Iterable[Tensor]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    batches = iter(inputs)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives one batch after the other."""

        def get_next(self) -> dict[str, Any] | None:
            batch = next(batches, None)
            return None if batch is None else {INPUT: batch.contiguous().numpy()}

    return Reader()


def _converted(convert: Callable[[], None], source: Path, form: str) -> None:
    try:
        with quietly():
            convert()
    except ImportError as error:
        raise InputError(
            f"{source}: {error.name} is needed to write it as {form}; pip install"
            " 'pixelwise[export]'"
        ) from error
    except InputError:
        raise
    except Exception as error:  # of onnx, protobuf and ONNX Runtime
        if is_shortage(error):
            raise
        raise InputError(
            f"{source}: cannot be written as {form} ({in_one_line(error, 200)}); take it as it is"
        ) from error


def note(path: Path, told: Mapping[str, Any]) -> None:
    """Add what was measured to the metadata of a file."""
    add_properties(path, {KEY: json.dumps(dict(told))})
