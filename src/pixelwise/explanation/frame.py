"""What part of the picture a network is looking at, while it runs.

A segmenter whose backbone needs sides that divide repeats the last row and column: its layers see
more than the picture. One that works at several scales does so for each of them. A decoder may
repeat them once more, for some of its parts, and says so as `Decoder.unpadded`.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.explanation.placing import Area
from pixelwise.networks.base import Decoder
from pixelwise.networks.segmenter import Segmenter


class Frame:
    """The area that layers see now, in units of the picture's pixels.

    Args:
        size: Rows and columns of the picture.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._whole: Area = (float(size[0]), float(size[1]))
        self._given = size
        self._runs = 0
        self._unpadded: dict[nn.Module, tuple[int, int]] = {}

    def covers(self, module: nn.Module, x: Float[Tensor, "b c h w"]) -> Area:
        """The area of the features x that `module` is given now."""
        rows, columns = self._unpadded.get(module, x.shape[2:])
        return self._whole[0] * x.shape[2] / rows, self._whole[1] * x.shape[3] / columns

    def begin(self, image: Tensor) -> None:
        """A segmenter is given the picture, perhaps resized by what it is part of."""
        self._given, self._runs = (image.shape[2], image.shape[3]), 0

    def enter(self, model: Segmenter, padded: Tensor) -> None:
        """The backbone of `model` is given it at the next scale, padded."""
        scales = model.decoder.running_scales
        scale = scales[self._runs % len(scales)]
        self._runs += 1
        if model.multiple > 1:
            rows, columns = (
                whole * inner / max(1, int(given * scale))
                for whole, inner, given in zip(
                    self.size, padded.shape[2:], self._given, strict=True
                )
            )
            self._whole = (rows, columns)

    def decode(self, decoder: Decoder, features: Sequence[Tensor]) -> None:
        """A decoder is given the backbone's features."""
        self._unpadded.update(decoder.unpadded(features))


@contextmanager
def framed(model: nn.Module, size: tuple[int, int]) -> Iterator[Frame]:
    """Follow what the segmenters in `model`, or itself, are looking at while the block runs."""
    frame = Frame(size)

    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, Segmenter):
                begin = functools.partial(_begin, frame)
                stack.callback(module.register_forward_pre_hook(begin).remove)
                enter = functools.partial(_enter, frame, module)
                stack.callback(module.backbone.register_forward_pre_hook(enter).remove)
            elif isinstance(module, Decoder):
                decode = functools.partial(_decode, frame)
                stack.callback(module.register_forward_pre_hook(decode).remove)
        yield frame


def _begin(frame: Frame, _: nn.Module, args: tuple[Tensor, ...]) -> None:
    frame.begin(args[0])


def _enter(frame: Frame, model: Segmenter, _: nn.Module, args: tuple[Tensor, ...]) -> None:
    frame.enter(model, args[0])


def _decode(frame: Frame, decoder: Decoder, args: tuple[Sequence[Tensor], ...]) -> None:
    frame.decode(decoder, args[0])
