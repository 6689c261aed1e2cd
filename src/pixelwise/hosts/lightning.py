"""Insertions in Lightning modules, which are built again from their hyperparameters."""

from typing import Any

from torch import nn

from pixelwise.insertion.restoring import restore


class KeepsInsertions(nn.Module):
    """A base to name before `LightningModule`: checkpoints bring their insertions back.

    `load_from_checkpoint` and `fit(ckpt_path=...)` build or get a module without layers; this puts
    them at their places before the weights are loaded.
    """

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put back the layers that the checkpoint tells of.

        Raises:
            InputError: The module lacks one of their places.
        """
        restore(self, checkpoint["state_dict"])
        following = getattr(super(), "on_load_checkpoint", None)
        if following is not None:
            following(checkpoint)
