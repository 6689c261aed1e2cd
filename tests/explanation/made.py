"""Explanations made by hand."""

import numpy as np
import torch

from pixelwise.explanation.explain import Explanation
from pixelwise.explanation.result import ClassMap, Deletion, LayerMap

EVIL = '<b>"car" & $co_2$</b>'
SHARES = (0.0, 0.2, 0.5, 1.0)


def layer_map(name="decoder.position", key="pam", kind="pixel", **fields):
    if kind != "channel" and "spatial" not in fields:
        fields["spatial"] = torch.rand(5, 7).flatten().softmax(0).view(5, 7)
    return LayerMap(name, key, kind, (2, 3), (5, 7), 0.002, 1_500_000, **fields)


def deletion(attended, *random, name="decoder.position"):
    return Deletion(name, SHARES, attended, random, 0.5)


def explanation(*maps, at=(20, 30), class_name="road", size=(40, 56), **fields):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Explanation(picture, at, 1, class_name, 0.875, maps, seconds=1.5, **fields)


def full():
    """All that an explanation can hold."""
    parts = {"collect": torch.rand(5, 7), "distribute": torch.rand(5, 7) / 35}
    return explanation(
        layer_map(),
        layer_map("body.layer3", "psanet", parts=parts),
        layer_map("body.layer4", "psa_s", "shared", spatial=torch.rand(5, 7), gain=0.0),
        layer_map("body.layer2", "se", "channel", channel=torch.rand(300), gain=0.25),
        class_name=EVIL,
        rollout=layer_map("rollout", "rollout"),
        deletions=(
            deletion((0.9, 0.3, 0.1, 0.1), (0.9, 0.7, 0.4, 0.1), (0.9, 0.6, 0.4, 0.1)),
            deletion((0.9, 0.6, 0.4, 0.1), (0.9, 0.6, 0.4, 0.1), name="body.layer4"),
        ),
        class_maps=(ClassMap("gradient", "body.layer4", 1, "car", torch.rand(5, 7), 0.1, 10),),
    )
