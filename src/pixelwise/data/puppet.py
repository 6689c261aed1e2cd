"""One jointed puppet, whose left and right only a mark on its tall hat tells apart.

It is seen from the front or from behind. Seen from the front, a light badge is on the top of the
hat, and the left limbs are on the right of the picture; seen from behind, it is a dark knot, and
they are on the left. Arms and legs of both sides look alike and move alike, and away from the
mark the two renderings are equal pixel by pixel. A mirror keeps the mark and swaps left and right,
as with people. Everything is drawn from (seed, split, index, size) with numpy alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.points.figure import HIDDEN, MISSING, SEEN
from pixelwise.data.points.skeleton import Skeleton

SKELETON = Skeleton(
    names=("head", "neck", "hip", "left elbow", "right elbow", "left hand", "right hand",
           "left knee", "right knee", "left foot", "right foot"),
    pairs=((3, 4), (5, 6), (7, 8), (9, 10)),
    edges=((0, 1), (1, 2), (1, 3), (3, 5), (1, 4), (4, 6), (2, 7), (7, 9), (2, 8), (8, 10)),
)  # fmt: skip
HEAD, NECK, HIP, ELBOW, HAND, KNEE, FOOT = 0, 1, 2, 3, 5, 7, 9
CLEARANCE = 0.18  # of the side: no point with a left and a right is nearer to the mark
FEWEST = 6  # points inside the picture
Place = NDArray[np.float64]


@dataclass(frozen=True)
class Puppet:
    """Where a puppet stands; lengths are in pixels, places are (x, y).

    Args:
        points: In the order of `SKELETON`; also those outside the picture.
        roots: Shoulders and hips of the left and the right side: (2, 2, 2).
        up: Direction from neck to head.
        height: Of the whole puppet.
        front: Whether it is seen from the front.
    """

    points: Place
    roots: Place
    up: Place
    height: float
    front: bool

    @property
    def mark(self) -> Place:
        """The centre of the mark on the hat."""
        return self.points[HEAD] + 0.185 * self.height * self.up

    def visible(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Of each point, where `labels` holds the number of the point that is seen, plus 1."""
        size = len(labels)
        inside = ((self.points >= 0) & (self.points < size)).all(axis=1)
        x, y = np.clip(self.points, 0, size - 1).astype(int).T
        seen = labels[y, x] == np.arange(1, len(self.points) + 1)
        return np.where(inside, np.where(seen, SEEN, HIDDEN), MISSING).astype(np.uint8)


def is_front(seed: int, split: int, index: int) -> bool:
    """Of each pair (2 i, 2 i + 1) one puppet is seen from the front."""
    first = np.random.default_rng([seed, split, index // 2, 1]).random() < 0.5
    return bool(first) != bool(index % 2)


def pose(rng: np.random.Generator, size: int, *, front: bool) -> Puppet:
    """A puppet whose head is in the picture, with its mark far from arms and legs."""
    while True:
        puppet = _pose(rng, size, front=front)
        away = np.hypot(*(puppet.points[ELBOW:] - puppet.mark).T)
        inside = ((puppet.points >= 0) & (puppet.points < size)).all(axis=1)
        room = min(puppet.mark.min(), size - puppet.mark.max())
        if away.min() > CLEARANCE * size and room > 0.07 * size and inside.sum() >= FEWEST:
            return puppet


def _pose(rng: np.random.Generator, size: int, *, front: bool) -> Puppet:
    height = rng.uniform(0.72, 1.0) * size
    tilt, nod = rng.uniform(-0.4, 0.4), rng.uniform(-0.25, 0.25)
    up = _turned(tilt)
    neck = np.array([0.5, 0.5]) * size + 0.185 * height * up + rng.uniform(-0.2, 0.2, 2) * size
    hip = neck - 0.26 * height * up
    # One limb on either side of the picture: what is drawn does not depend on `front`.
    bends = np.radians(rng.uniform((5, -40, -12, -35), (100, 120, 45, 35), (2, 4)))
    points = np.empty((len(SKELETON), 2))
    roots = np.empty((2, 2, 2))
    points[[HEAD, NECK, HIP]] = neck + 0.09 * height * _turned(tilt + nod), neck, hip
    for i, outward in enumerate((-1, 1)):
        side = int((outward > 0) != front)  # 0: left
        aside = outward * _turned(tilt + np.pi / 2)
        shoulder = neck + height * (0.058 * aside - 0.025 * up)
        thigh = hip + height * (0.036 * aside - 0.01 * up)
        roots[:, side] = shoulder, thigh
        upper, lower, leg, shin = (tilt + np.pi - outward * bend for bend in _summed(bends[i]))
        elbow = shoulder + 0.17 * height * _turned(upper)
        knee = thigh + 0.20 * height * _turned(leg)
        points[ELBOW + side], points[HAND + side] = elbow, elbow + 0.16 * height * _turned(lower)
        points[KNEE + side], points[FOOT + side] = knee, knee + 0.19 * height * _turned(shin)
    return Puppet(points, roots, _turned(tilt + nod), float(height), front)


def _summed(bends: Place) -> tuple[float, float, float, float]:
    """Angles of upper arm, lower arm, thigh and shin from those between them."""
    upper, lower, thigh, shin = bends.tolist()
    return upper, upper + lower, thigh, thigh + shin


def _turned(angle: float) -> Place:
    """The direction that is up (to smaller y) at 0, and right at a quarter turn."""
    return np.array([np.sin(angle), -np.cos(angle)])
