"""A pinhole camera over a plane with boxes and balls: what each pixel sees, and how far away.

World coordinates are (right, down, ahead) in metres from the camera, level with the horizon. Depth
is measured along the camera's axis, as depth maps are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEIGHT = 1.6  # metres of the camera above the plane, in all pictures
FOCAL = 0.9  # of the picture's side
FARTHEST = 60.0  # metres; what is beyond has no depth
SKY, PLANE = 0, 1  # what pixels see; the number of a solid is its place in the list plus 2
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Solid:
    """A box or a ball that stands on the plane.

    Args:
        right: Metres to the right of the camera.
        ahead: Metres in front of it, to the centre.
        half: Half width, half height and half length; of a ball its radius, three times.
        turn: Of a box, radians about the upright axis.
        ball: Whether it is a ball.
    """

    right: float
    ahead: float
    half: tuple[float, float, float]
    turn: float = 0.0
    ball: bool = False

    @property
    def centre(self) -> Numbers:
        """In world coordinates."""
        return np.array([self.right, HEIGHT - self.half[1], self.ahead])

    @property
    def radius(self) -> float:
        """How far it reaches from its centre along the plane."""
        return self.half[0] if self.ball else float(np.hypot(self.half[0], self.half[2]))

    def local(self, vectors: Numbers) -> Numbers:
        """Vectors of the world in the axes of the box."""
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        x, y, z = vectors
        return np.stack([cos * x + sin * z, y, cos * z - sin * x])

    def hit(self, origins: Numbers, rays: Numbers) -> Numbers:
        """How many times each ray (3, n) from its origin reaches to the solid; infinite: never."""
        start, ahead = self.local(origins - self.centre[:, None]), self.local(rays)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.ball:
                square = (ahead**2).sum(axis=0)
                middle = (start * ahead).sum(axis=0) / square
                root = middle**2 - ((start**2).sum(axis=0) - self.half[0] ** 2) / square
                near = np.where(root > 0, -middle - np.sqrt(np.maximum(root, 0)), np.inf)
            else:
                half = np.array(self.half)[:, None]
                one, other = (-half - start) / ahead, (half - start) / ahead
                near, far = np.minimum(one, other).max(axis=0), np.maximum(one, other).min(axis=0)
                near = np.where(near < far, near, np.inf)
        return np.where(near > 0, near, np.inf)

    def surface(self, places: Numbers) -> tuple[Numbers, Numbers]:
        """Outward directions at places (3, n) on it, and the places in its own axes, -1 to 1."""
        apart = places - self.centre[:, None]
        own = self.local(apart) / np.array(self.half)[:, None]
        if self.ball:
            return apart / self.half[0], own
        axis = np.abs(own).argmax(axis=0)
        x, y, z = np.where(axis == np.arange(3)[:, None], np.sign(own), 0.0)
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return np.stack([cos * x - sin * z, y, cos * z + sin * x]), own


@dataclass(frozen=True)
class Seen:
    """What each pixel sees: `kind`, `depth` in metres, infinite in the sky, and `places` (3, ...).

    All are flat, row after row.
    """

    kind: NDArray[np.intp]
    depth: Numbers
    places: Numbers


def rays(size: int, tilt: float) -> Numbers:
    """(3, size * size): the ray through each pixel's centre, as long as reaches a depth of 1.

    Args:
        size: Side of the picture.
        tilt: Of the camera, radians downwards.
    """
    across = (np.arange(size) + 0.5 - size / 2) / (FOCAL * size)
    down, right = (grid.ravel() for grid in np.meshgrid(across, across, indexing="ij"))
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.stack([right, cos * down + sin, cos - sin * down])


def look(directions: Numbers, solids: tuple[Solid, ...]) -> Seen:
    """What the rays hit first."""
    down = directions[1]
    depth = np.full(down.shape, np.inf)
    np.divide(HEIGHT, down, out=depth, where=down > HEIGHT / FARTHEST)
    kind = np.where(np.isfinite(depth), PLANE, SKY)
    camera = np.zeros((3, 1))
    for number, solid in enumerate(solids, PLANE + 1):
        distance = solid.hit(camera, directions)
        nearer = distance < np.minimum(depth, FARTHEST)
        depth[nearer], kind[nearer] = distance[nearer], number
    return Seen(kind, depth, directions * np.where(kind == SKY, 0.0, depth))
