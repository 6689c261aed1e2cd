"""Layouts of published data sets: what `layout: NAME` stands for in a data.yaml.

Whatever the data.yaml says itself takes its place.
"""

from collections.abc import Mapping
from typing import Any

CITYSCAPES = {
    # label id: (name, colour); the others do not count
    7: ("road", "#804080"),
    8: ("sidewalk", "#f423e8"),
    11: ("building", "#464646"),
    12: ("wall", "#66669c"),
    13: ("fence", "#be9999"),
    17: ("pole", "#999999"),
    19: ("traffic light", "#faaa1e"),
    20: ("traffic sign", "#dcdc00"),
    21: ("vegetation", "#6b8e23"),
    22: ("terrain", "#98fb98"),
    23: ("sky", "#4682b4"),
    24: ("person", "#dc143c"),
    25: ("rider", "#ff0000"),
    26: ("car", "#00008e"),
    27: ("truck", "#000046"),
    28: ("bus", "#003c64"),
    31: ("train", "#005064"),
    32: ("motorcycle", "#0000e6"),
    33: ("bicycle", "#770b20"),
}
LABEL_IDS = 34
"""Cityscapes numbers its labels from 0 to 33."""

LAYOUTS: Mapping[str, Mapping[str, Any]] = {
    "cityscapes": {
        "train": "leftImg8bit/train",
        "val": "leftImg8bit/val",
        "test": "leftImg8bit/test",
        "masks_dir": {"leftImg8bit": "gtFine"},
        "masks": {"*_leftImg8bit.png": "*_gtFine_labelIds.png"},
        "names": [name for name, _ in CITYSCAPES.values()],
        "palette": [colour for _, colour in CITYSCAPES.values()],
        "map": {
            **dict.fromkeys(range(LABEL_IDS), "ignore"),
            **{label: i for i, label in enumerate(CITYSCAPES)},
            255: "ignore",
        },
    },
}
