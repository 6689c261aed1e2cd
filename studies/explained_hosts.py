"""Explanations of networks with attention of their own: a row for each, in random weights.

python studies/explained_hosts.py --out studies/explained_hosts.csv
python studies/explained_hosts.py --table studies/explained_hosts.csv

The latter prints the table of docs/explain.md. Needs timm, transformers, torchvision and
ultralytics; nothing is downloaded. The middle pixel of a picture of noise is asked about, twice:
what places a network's tokens on the picture is found at the first time, and kept.
"""

import argparse
import csv
import importlib.metadata
import statistics
import time
from pathlib import Path

import torch
from torch import nn

import machine
from pixelwise.explanation.explain import explain

TIMED = 3


class Dense(nn.Module):
    """The first maps (b, k, h, w) or logits (b, k) in what a network returns."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image):
        """The first of them."""
        return next(found for found in tensors(self.inner(image)) if found.ndim in (2, 4))


def tensors(output):
    """All tensors in nested lists, tuples, mappings and objects that are mappings."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from tensors(value)


def of_timm(name, **options):
    def build():
        import timm

        return timm.create_model(name, **options)

    return build


def of_transformers(name, **options):
    def build():
        import transformers

        kind = getattr(transformers, name)
        return kind(kind.config_class(**options))

    return build


def of_torchvision(name):
    def build():
        import torchvision

        return getattr(torchvision.models, name)(weights=None)

    return build


def of_ultralytics(name):
    def build():
        import ultralytics

        return Dense(ultralytics.YOLO(name, verbose=False).model)

    return build


def of_pixelwise(arch, backbone, **options):
    def build():
        from pixelwise.networks.factory import create_model

        return create_model(arch, backbone, num_classes=5, **options)

    return build


HOSTS = {
    "timm vit_small_patch16_224": (of_timm("vit_small_patch16_224"), (224, 224)),
    "timm vit_small_patch14_reg4_dinov2": (
        of_timm("vit_small_patch14_reg4_dinov2", img_size=518), (518, 518),
    ),
    "timm vit_small_patch16_dinov3": (of_timm("vit_small_patch16_dinov3"), (512, 512)),
    "timm deit_tiny_distilled_patch16_224": (
        of_timm("deit_tiny_distilled_patch16_224"), (224, 224),
    ),
    "timm eva02_tiny_patch14_224": (of_timm("eva02_tiny_patch14_224"), (224, 224)),
    "timm swin_tiny_patch4_window7_224": (of_timm("swin_tiny_patch4_window7_224"), (224, 224)),
    "timm swinv2_tiny_window8_256": (of_timm("swinv2_tiny_window8_256"), (256, 256)),
    "timm maxvit_tiny_rw_224": (of_timm("maxvit_tiny_rw_224"), (224, 224)),
    "timm pvt_v2_b0": (of_timm("pvt_v2_b0"), (512, 512)),
    "timm cait_xxs24_224": (of_timm("cait_xxs24_224"), (224, 224)),
    "timm xcit_nano_12_p8_224": (of_timm("xcit_nano_12_p8_224"), (224, 224)),
    "timm mobilevit_xxs": (of_timm("mobilevit_xxs"), (256, 256)),
    "transformers Segformer": (of_transformers("SegformerForSemanticSegmentation"), (512, 512)),
    "transformers Eomt": (
        of_transformers(
            "EomtForUniversalSegmentation", hidden_size=192, num_hidden_layers=12,
            num_attention_heads=3, image_size=512, patch_size=16, num_queries=50,
        ),
        (512, 512),
    ),
    "transformers Mask2Former": (
        of_transformers("Mask2FormerForUniversalSegmentation"), (256, 256),
    ),
    "transformers DPT": (
        of_transformers(
            "DPTForSemanticSegmentation", hidden_size=192, num_attention_heads=3,
            intermediate_size=768, image_size=384, neck_hidden_sizes=[48, 96, 192, 192],
            fusion_hidden_size=64,
        ),
        (384, 384),
    ),
    "transformers Swin": (of_transformers("SwinForImageClassification"), (224, 224)),
    "transformers Dinov2": (
        of_transformers(
            "Dinov2ForImageClassification", hidden_size=192, num_attention_heads=3, image_size=896,
        ),
        (896, 896),
    ),
    "torchvision swin_t": (of_torchvision("swin_t"), (224, 224)),
    "torchvision vit_b_16": (of_torchvision("vit_b_16"), (224, 224)),
    "ultralytics yolo11n-seg": (of_ultralytics("yolo11n-seg.yaml"), (640, 640)),
    "ultralytics yolo12n-seg": (of_ultralytics("yolo12n-seg.yaml"), (640, 640)),
    "pixelwise fcn, vit_tiny_patch16_224": (
        of_pixelwise("fcn", "vit_tiny_patch16_224"), (224, 224),
    ),
    "pixelwise fcn, swin_tiny_patch4_window7_224": (
        of_pixelwise("fcn", "swin_tiny_patch4_window7_224"), (224, 224),
    ),
}  # fmt: skip
"""How each is made, and the picture that it is given."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    rows = []
    for name in options.names or HOSTS:
        rows.append(explained(name))
        print(rows[-1], flush=True)
        if options.out:
            machine.write(options.out, rows)


def explained(name):
    """The row of one network."""
    build, size = HOSTS[name]
    torch.manual_seed(0)
    model = build().eval()
    image = torch.randn(1, 3, *size)
    forward = []
    with torch.no_grad():
        for _ in range(1 + TIMED):
            start = time.perf_counter()
            model(image)
            forward.append(time.perf_counter() - start)
    at = (size[0] // 2 - 1, size[1] // 2 - 1)
    runs = [
        explain(model, image, at, rollout=False, deletion=False, class_maps=False) for _ in range(2)
    ]
    found = runs[-1]
    proofs = [one.proof for one in found.maps if one.proof is not None]
    return {
        "host": name,
        "version": importlib.metadata.version(name.split()[0]),
        "picture": f"{size[0]}x{size[1]}",
        "tokens": max((one.size[0] * one.size[1] for one in found.maps), default=0),
        "maps": len(found.maps),
        "heads": sum(len(one.heads) for one in found.maps if one.heads is not None),
        "proof": f"{max(proofs):.1e}" if proofs else "",
        "apart": f"{max((one.apart for one in found.maps), default=0.0):.3f}",
        "map_ms": f"{1000 * max((one.seconds for one in found.maps), default=0.0):.2f}",
        "map_mb": f"{max((one.peak_bytes for one in found.maps), default=0) / 1e6:.2f}",
        "forward_ms": f"{1000 * statistics.median(forward[1:]):.0f}",
        "first_ms": f"{1000 * runs[0].seconds:.0f}",
        "further_ms": f"{1000 * found.seconds:.0f}",
        "notes": len(found.notes),
        "note": found.notes[0] if found.notes else "",
    }


def table(path):
    """The rows as Markdown."""
    lines = [
        "| network | picture | tokens | maps | largest error | one map, ms | one map, MB |"
        " forward pass, ms | first pixel, ms | further pixels, ms | not shown |",
        "|" + "---|" * 11,
    ]
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            names = (
                "host", "picture", "tokens", "maps", "proof", "map_ms", "map_mb", "forward_ms",
                "first_ms", "further_ms",
            )  # fmt: skip
            cells = [row[name] for name in names]
            told = f"{row['notes']}: {row['note'].rstrip('.')}" if int(row["notes"]) else ""
            lines.append(f"| {' | '.join([*cells, told])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
