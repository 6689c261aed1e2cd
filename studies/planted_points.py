"""How far decoded points are from where they were drawn, in pixels, without any network.

python studies/planted_points.py --out studies/planted_points.csv

A heat map is drawn at a known place between cells and decoded again: as it is; averaged with the
map of the mirrored image; and for points of an image that lie in a crop turned by 33 degrees, told
in pixels of the crop. "border": at most two cells from the border of the map. Maps have the 64 x 48
cells of the published networks for 256 x 192 pixels; at stride 8 the image is twice as large.
"""

import argparse

import numpy as np
import torch

import machine
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.tasks.keypoints import (
    DECODERS,
    crop_matrix,
    decode_points,
    draw_targets,
    flip_average,
    inverse,
    mirrored_points,
    transformed,
)

SIZE = (64, 48)
STRIDES = (4, 8)
PLACES = ("inner", "border")
WAYS = ("plain", "flip averaged", "crop and rotation and back")
PARTNERS = Skeleton(("nose", "left", "right"), pairs=((1, 2),)).mirrored()


def planted(stride, place, count):
    """Points (count, 3, 2), float64, in an image of `SIZE` cells."""
    rng = np.random.default_rng([stride, PLACES.index(place)])
    size = np.array(SIZE[::-1], dtype=np.float64)
    if place == "inner":
        return rng.uniform(2, size - 2, (count, 3, 2)) * stride
    cells = rng.uniform(0, size, (count, 3, 2))
    near = rng.uniform(0, 2, (count, 3, 2))
    far = rng.random((count, 3, 2)) < 0.5
    sides = np.where(far, size - 1e-9 - near, near)
    which = rng.integers(0, 3, (count, 3))  # x, y, or a corner
    close = np.stack([which != 1, which != 0], axis=-1)
    return np.where(close, sides, cells) * stride


def maps(points, stride, target):
    places = torch.from_numpy(points)
    seen = torch.ones(places.shape[:2])
    return draw_targets(places, seen, SIZE, stride, target=target)[0]


def errors(decoder, stride, place, way, count):
    """Distances in pixels of the crop."""
    offsets = decoder == "udp_offset"
    target = "udp_offset" if offsets else "gaussian"
    points = planted(stride, place, count)
    back = np.eye(2, 3)
    if way == WAYS[2]:
        sides = (SIZE[0] * stride, SIZE[1] * stride)
        matrix = crop_matrix((31.5, 20.25, 150.0, 260.0), sides, rotation=33.0)
        image = transformed(points, inverse(matrix))
        points, back = transformed(image, matrix), inverse(matrix)
    drawn = maps(points, stride, target)
    if way == WAYS[1]:
        mirrored = np.maximum(mirrored_points(points, SIZE[1] * stride, PARTNERS), 0)
        flipped = maps(mirrored, stride, target)
        drawn = flip_average(drawn, flipped, PARTNERS, offsets=offsets)
    found = decode_points(drawn, stride, decoder, target=target)[0].numpy()
    zoom = np.sqrt(abs(np.linalg.det(back[:, :2])))
    away = transformed(found, back) - transformed(points, back)
    return np.linalg.norm(away, axis=-1) / zoom


def rows(count):
    for decoder in DECODERS:
        for stride in STRIDES:
            for place in PLACES:
                for way in WAYS:
                    away = errors(decoder, stride, place, way, count)
                    yield {
                        "decoder": decoder,
                        "stride": stride,
                        "place": place,
                        "way": way,
                        "points": away.size,
                        "largest_px": f"{away.max():.4f}",
                        "mean_px": f"{away.mean():.4f}",
                    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="images of three points each")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    found = list(rows(options.count))
    for row in found:
        print(*row.values(), flush=True)
    machine.write(options.out, found)


if __name__ == "__main__":
    main()
