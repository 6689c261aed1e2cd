"""What predicting and scoring ask of a network: what it is, what its logits mean, where it runs."""

import torch
from torch import nn

from pixelwise.networks.config import ModelConfig
from pixelwise.tasks.base import Task
from pixelwise.tasks.registry import task_of


class Model(nn.Module):
    """A network that is described by a config: a `Segmenter`, or an exported file.

    Called on pictures (n, c, h, w) as `(raw / scale - mean) / std`; it returns logits.
    """

    config: ModelConfig
    fixed_size: tuple[int, int] | None = None
    """The only (height, width) that it takes, where it is fixed."""
    decides: bool = False
    """Whether it says what the answer is, but not how sure it is."""

    @property
    def task(self) -> Task:
        """What the outputs mean."""
        return task_of(self.config.task, self.config)

    @property
    def device(self) -> torch.device:
        """Where it takes pictures."""
        return next(self.parameters()).device
