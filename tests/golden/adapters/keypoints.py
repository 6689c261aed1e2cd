"""Adapters of heat maps of points: targets, decoders, geometry and losses.

Recorded points have whole numbers at pixel centres.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from adapters.subject import Adapter, Subject
from pixelwise.tasks.keypoints import peaks as published
from pixelwise.tasks.keypoints.decoding import soft_argmax
from pixelwise.tasks.keypoints.flipping import flip_average, flip_back
from pixelwise.tasks.keypoints.geometry import inverse, transformed
from pixelwise.tasks.keypoints.losses import heatmap_loss
from pixelwise.tasks.keypoints.placing import cells_of
from pixelwise.tasks.keypoints.published_geometry import (
    in_halves,
    published_matrix,
    published_return,
)
from pixelwise.tasks.keypoints.published_targets import OFFSET_RADIUS
from pixelwise.tasks.keypoints.targets import TARGETS
from pixelwise.tasks.keypoints.warping import warp


def function(run: Callable[..., Any]) -> Subject:
    """A function, which has no weights."""

    def load(state: Mapping[str, Tensor]) -> None:
        assert not state, "a function has no weights"

    def own(key: str) -> Tensor:
        raise KeyError(key)

    return Subject(nn.Identity(), load, own, dict, run)


def target(name: str, in_cells: bool = False) -> Adapter:
    """Recorded points are in pixels, or in cells."""
    kind = TARGETS[name]

    def adapter(config: dict[str, Any]) -> Subject:
        width, height = config["heatmap_size"]
        spread = float(config.get("sigma", 2))
        if name == "udp_offset":
            spread = config.get("valid_radius_factor", OFFSET_RADIUS)

        def run(points: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
            cells = points[None]
            if not in_cells:
                stride = (config["image_size"][0] / width, config["image_size"][1] / height)
                cells = cells_of(cells + 0.5, stride, (height, width), kind.placement)
            maps, weights = kind.draw(cells, visible.view(1, -1), (height, width), spread)
            return maps[0], weights[0, :, None]

        return function(run)

    return adapter


def to_picture(cells: Tensor, centre: Tensor, scale: Tensor, maps: Tensor, geometry: str) -> Tensor:
    """Cells of each map of a batch in pixels of its picture."""
    size = tuple(maps.shape[2:])
    boxes = zip(centre.double().numpy(), scale.double().numpy(), strict=True)
    matrices = [published_return(c, s, size, geometry=geometry) for c, s in boxes]
    places = cells.double().numpy()
    found = [transformed(p, m) for p, m in zip(places, matrices, strict=True)]
    return torch.stack([torch.from_numpy(points) for points in found])


def decode_argmax(config: dict[str, Any]) -> Subject:
    def run(maps: Tensor, centre: Tensor, scale: Tensor) -> dict[str, Tensor]:
        cells, scores = published.peaks(maps.detach(), missing=0)
        refine = config.get("post_process", True)
        places = published.quarter(maps.detach(), cells) if refine else cells
        points = to_picture(places, centre.detach(), scale.detach(), maps, "simple_baseline")
        return {"points": points, "scores": scores, "argmax": cells}

    return function(run)


def decode_dark(config: dict[str, Any]) -> Subject:
    def run(maps: Tensor, centre: Tensor, scale: Tensor) -> dict[str, Tensor]:
        cells, scores = published.peaks(maps.detach(), missing=0)
        places = published.dark(maps.detach(), cells, config.get("kernel", 11))
        points = to_picture(places, centre.detach(), scale.detach(), maps, "dark")
        return {"points": points, "scores": scores, "map_points": places}

    return function(run)


def decode_udppose(config: dict[str, Any]) -> Subject:
    """All that `keypoints_from_heatmaps` does, by its options."""
    kernel, steps = config.get("kernel", 11), config.get("post_process", "default")
    udp, combined = config.get("use_udp", False), config.get("target_type") == "CombinedTarget"
    factor = config.get("valid_radius_factor", OFFSET_RADIUS)

    def run(maps: Tensor, centre: Tensor, scale: Tensor) -> dict[str, Tensor]:
        maps = maps.detach()
        if udp and combined:
            places, scores = published.udp_offset(maps, kernel, factor, missing=-1)
        else:
            if steps == "megvii" and not udp:
                maps = published.rescaled_blur(maps, kernel)
            cells, scores = published.peaks(maps, missing=-1)
            if udp:
                places = published.udp(maps, cells, kernel)
            elif steps == "unbiased":
                places = published.dark(maps, cells, kernel)
            elif steps is None:
                places = cells
            else:
                places = published.quarter(maps, cells)
                if steps == "megvii":
                    places = places + 0.5 * published.within(maps, cells, 1)[..., None]
                    scores = scores / 255 + 0.5
        geometry = "udp" if udp else "simple_baseline"
        points = to_picture(places, centre.detach(), scale.detach(), maps, geometry)
        return {"points": points, "scores": scores}

    return function(run)


def affine(geometry: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        width, height = config["output_size"]
        size, rotation = (height, width), config.get("rot", 0)

        def run(centre: Tensor, scale: Tensor, points: Tensor) -> dict[str, Tensor]:
            c, s, p = (x.detach().double().numpy() for x in (centre, scale, points))
            matrix = published_matrix(c, s, size, geometry=geometry, rotation=rotation)
            back = published_return(c, s, size, geometry=geometry)
            found = {
                "matrix": matrix,
                "inverse": inverse(matrix),
                "mapped": transformed(p, matrix),
                "back": transformed(p, back),
            }
            return {name: torch.from_numpy(value) for name, value in found.items()}

        return function(run)

    return adapter


def warp_crop(geometry: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        width, height = config["output_size"]
        size, rotation = (height, width), config.get("rot", 0)

        def run(picture: Tensor, centre: Tensor, scale: Tensor) -> dict[str, Tensor]:
            c, s = (x.detach().double().numpy() for x in (centre, scale))
            matrix = published_matrix(c, s, size, geometry=geometry, rotation=rotation)
            crop = warp(picture.detach(), in_halves(matrix), size, subpixels=32)
            return {"crop": crop, "matrix": torch.from_numpy(matrix)}

        return function(run)

    return adapter


def flip(config: dict[str, Any]) -> Subject:
    combined, shift = config.get("combined", False), config.get("shift", False)

    def run(maps: Tensor, flipped: Tensor) -> dict[str, Tensor]:
        partners = list(range(maps.shape[1] // (3 if combined else 1)))
        for left, right in config["pairs"]:
            partners[left], partners[right] = right, left
        return {
            "back": flip_back(flipped, partners, offsets=combined),
            "average": flip_average(maps, flipped, partners, offsets=combined, shift=shift),
        }

    return function(run)


def loss(name: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        measure = heatmap_loss(name, hardest=config.get("topk", 8))

        def run(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
            counted = weights[..., 0].detach()
            if not config.get("use_target_weight", True):
                counted = torch.ones_like(counted)
            return measure(outputs, targets.detach(), counted)[None]

        return function(run)

    return adapter


def integral(config: dict[str, Any]) -> Subject:
    depth = config.get("depth", 1)

    def run(maps: Tensor) -> Tensor:
        volumes = maps.unflatten(1, (-1, depth))
        size = torch.tensor(volumes.shape[2:], dtype=maps.dtype).flip(0)
        return (soft_argmax(volumes) / size - 0.5).flatten(1)

    return function(lambda maps: (run(maps),))


ADAPTERS: dict[str, Adapter] = {
    "gaussian_target@simplebaseline": target("simple_baseline"),
    "gaussian_target@darkpose": target("dark", in_cells=True),
    "msra_unbiased_target@udppose": target("msra_unbiased"),
    "udp_gaussian_target@udppose": target("udp"),
    "udp_offset_target@udppose": target("udp_offset"),
    "decode_argmax@simplebaseline": decode_argmax,
    "decode_dark@darkpose": decode_dark,
    "decode@udppose": decode_udppose,
    "decode_udp@udppose": decode_udppose,
    "decode_udp_offset@udppose": decode_udppose,
    "affine@simplebaseline": affine("simple_baseline"),
    "affine@udppose_biased": affine("simple_baseline"),
    "affine@darkpose": affine("dark"),
    "affine@udppose": affine("udp"),
    "warp_crop@simplebaseline": warp_crop("simple_baseline"),
    "warp_crop@darkpose": warp_crop("dark"),
    "warp_crop@udppose": warp_crop("udp"),
    "flip_average@author": flip,
    "joints_mse@hrnet": loss("joints_mse"),
    "joints_mse@udppose": loss("joints_mse_whole"),
    "joints_ohkm_mse@hrnet": loss("ohkm"),
    "joints_ohkm_mse@udppose": loss("ohkm_whole"),
    "combined_target_mse@udppose": loss("combined"),
    "integral_softargmax@author": integral,
}
