"""What padding to multiples of 32 changed in HRNet-OCR, as 0.1.0 ran it until 2026-11-28.

python studies/hrnet_padding.py --out studies/hrnet_padding.csv

Each network runs on a generated scene at the scene's own size, and padded by repeating the border
with the logits cropped. `off` is the largest difference relative to the largest logit. Weights are
drawn; norms have the statistics of other scenes.
"""

import argparse

import torch

import machine
from pixelwise.data.scenes import SceneOptions, Scenes
from pixelwise.networks.factory import create_model

SIZES = ((64, 96), (80, 112), (65, 97), (360, 480))
NETWORKS = {"HRNet-OCR": "none", "HRNet-OCR with PSA": "psa_s@inner2,inner3,inner4"}
SCALES = ((1.0,), (0.5, 1.0, 2.0))


def built(attention, scales, backbone):
    torch.manual_seed(0)
    model = create_model(
        "hrnet_ocr",
        backbone,
        num_classes=19,
        attention=attention,
        align_corners=False,
        scales=scales,
    )
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of all
    with torch.no_grad():
        for seed in range(2):
            model.train()(picture((256, 320), seed))
    return model.eval()


def picture(size, seed):
    scenes = Scenes(SceneOptions(size=max(size))).split("train")
    image = scenes[seed].image[None, :, : size[0], : size[1]]
    return (image / 255 - 0.5) / 0.25


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="hrnet_w18")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rows = []
    for name, attention in NETWORKS.items():
        for scales in SCALES:
            model = built(attention, scales, options.backbone)
            for size in SIZES:
                image = picture(size, seed=7)
                with torch.no_grad():
                    model.backbone.multiple = 1
                    own = model(image)
                    model.backbone.multiple = 32
                    padded = model(image)
                rows.append(
                    {
                        "network": name,
                        "backbone": options.backbone,
                        "scales": " ".join(f"{scale:g}" for scale in scales),
                        "size": f"{size[0]}x{size[1]}",
                        "off": f"{((own - padded).abs().max() / own.abs().max()).item():.3f}",
                    }
                )
                print(rows[-1], flush=True)
    machine.write(options.out, rows)


if __name__ == "__main__":
    main()
