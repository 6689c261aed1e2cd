"""Networks that people have weights of, and that have no counterpart here: told by name."""

import re
from collections.abc import Iterable
from typing import ClassVar

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.network import CheckpointLayout, Foreign

GATE = "the gate alone can be loaded: create_layer('gate', ...).load_reference(weights)"
NETWORKS: tuple[tuple[str, str, str], ...] = (
    (
        r"(Up_)?RRCNN\d\.",
        "a U-Net whose convolutions recur (R2U_Net)",
        "train unet or attention_unet instead",
    ),
    (
        r"attentionblock\d\.",
        "Attention-Gated-Networks, a network of three dimensions",
        GATE,
    ),
    (
        r"(pam|cam)_conv\d\.",
        "the head of an article's DANet alone, without a backbone",
        "create_model('danet', ..., variant='untransposed').decoder.load_reference(weights)",
    ),
    (
        r"(ISAHead|Conv_1|cls_seg)\.",
        "the head of an article's ISANet alone, without a backbone",
        "create_model('isanet', ..., variant='article').decoder.load_reference(weights)",
    ),
    (
        r"(inc|down\d|up\d|outc)\.",
        "a U-Net with an encoder of its own",
        "train unet instead",
    ),
)
"""Pattern of keys, what it is, what to do."""


class UnsupportedLayout(CheckpointLayout):
    """Known keys of networks that cannot be built here."""

    name: ClassVar[str] = "other U-Nets, heads of articles (refused with the reason)"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether most keys are of one of them."""
        return self._found(keys) is not None

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """Never returns."""
        found = self._found(checkpoint.state)
        assert found is not None
        what, remedy = found
        raise InputError(f"{what}: there is no counterpart here; {remedy}")

    def _found(self, keys: Iterable[str]) -> tuple[str, str] | None:
        names = list(keys)
        for pattern, what, remedy in NETWORKS:
            if sum(re.match(pattern, name) is not None for name in names) > len(names) / 8:
                return what, remedy
        return None
