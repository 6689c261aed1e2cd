"""A backbone whose maps are computed again in backward: less memory for about a third more time."""

from typing import Any

import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter


def compute_again(model: Segmenter) -> None:
    """Let timm keep the maps between blocks alone, in place; weights come out the same.

    Raises:
        InputError: The backbone cannot.
    """
    body: Any = model.backbone.body
    switch = getattr(getattr(body, "model", body), "set_grad_checkpointing", None)
    try:
        if switch is None:
            raise AssertionError
        switch(True)
    except AssertionError as error:  # so says timm
        raise InputError(
            f"checkpointing=True: backbone {model.config.backbone!r} cannot compute its maps again;"
            " leave it out, or lower --batch-size or --crop"
        ) from error
    for module in body.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            _Once(module)


class _Once:
    """The second time that a norm sees a batch, its running statistics have it already."""

    def __init__(self, norm: Any) -> None:
        self.momentum = norm.momentum
        norm.register_forward_pre_hook(self.before)
        norm.register_forward_hook(self.after, always_call=True)

    def before(self, norm: Any, _: Any) -> None:
        if torch._C._current_graph_task_id() != -1:  # inside of a backward pass
            norm.momentum = 0.0
            norm.num_batches_tracked -= 1

    def after(self, norm: Any, *_: Any) -> None:
        norm.momentum = self.momentum
