"""TensorBoard: event files in the run's folder, which `tensorboard --logdir runs` shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pixelwise.train.loggers.base import About, Begun

FOLDER = "tensorboard"


class TensorBoard:
    """Writes events; those after the checkpoint are purged on resume."""

    live: ClassVar[bool] = True

    def __init__(self) -> None:
        self._board: Any = None

    def begin(self, about: About) -> Begun:
        """Open the event file."""
        from torch.utils.tensorboard import SummaryWriter

        folder = about.run / FOLDER
        self._board = SummaryWriter(str(folder), purge_step=about.step + 1)
        return Begun({}, str(folder))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write what waits."""
        self._board.flush()

    def picture(self, step: int, name: str, file: Path) -> None:
        """An image."""
        import numpy as np
        from PIL import Image

        with Image.open(file) as image:
            self._board.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def end(self, state: str) -> None:
        """Close the event file."""
        self._board.close()
