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
        x, y, z = np.moveaxis(vectors, -1, 0)
        return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=-1)

    def hit(self, origins: Numbers, rays: Numbers) -> Numbers:
        """How many times each ray reaches to the solid; infinite where it does not."""
        start, ahead = self.local(origins - self.centre), self.local(rays)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.ball:
                square = (ahead**2).sum(axis=-1)
                middle = (start * ahead).sum(axis=-1) / square
                root = middle**2 - ((start**2).sum(axis=-1) - self.half[0] ** 2) / square
                near = np.where(root > 0, -middle - np.sqrt(np.maximum(root, 0)), np.inf)
            else:
                half = np.array(self.half)
                one, other = (-half - start) / ahead, (half - start) / ahead
                near = np.minimum(one, other).max(axis=-1)
                near = np.where(near < np.maximum(one, other).min(axis=-1), near, np.inf)
        return np.where(near > 0, near, np.inf)

    def normals(self, places: Numbers) -> tuple[Numbers, Numbers]:
        """Outward directions at places on the surface, and the places in the solid's own axes."""
        own = self.local(places - self.centre) / np.array(self.half)
        if self.ball:
            return (places - self.centre) / self.half[0], own
        flat = np.zeros_like(own)
        axis = np.abs(own).argmax(axis=-1)[..., None]
        np.put_along_axis(flat, axis, np.sign(np.take_along_axis(own, axis, -1)), -1)
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        x, y, z = np.moveaxis(flat, -1, 0)
        return np.stack([cos * x - sin * z, y, cos * z + sin * x], axis=-1), own


@dataclass(frozen=True)
class Seen:
    """What each pixel sees: `kind`, `depth` in metres (infinite in the sky), and `places`."""

    kind: NDArray[np.intp]
    depth: Numbers
    places: Numbers


def rays(size: int, tilt: float) -> Numbers:
    """(size, size, 3): the ray through each pixel's centre; along the camera's axis it is 1 long.

    Args:
        size: Side of the picture.
        tilt: Of the camera, radians downwards.
    """
    across = (np.arange(size) + 0.5 - size / 2) / (FOCAL * size)
    right, down = np.broadcast_to(across, (size, size)), across[:, None]
    cos, sin = np.cos(tilt), np.sin(tilt)
    level = np.broadcast_to(cos - sin * down, (size, size))
    return np.stack([right, np.broadcast_to(cos * down + sin, (size, size)), level], axis=-1)


def look(directions: Numbers, solids: tuple[Solid, ...]) -> Seen:
    """What the rays hit first."""
    down = directions[..., 1]
    depth = np.full(down.shape, np.inf)
    np.divide(HEIGHT, down, out=depth, where=down > 1e-9)
    kind = np.where(depth < FARTHEST, PLANE, SKY)
    depth[kind == SKY] = np.inf
    origin = np.zeros(3)
    for number, solid in enumerate(solids, PLANE + 1):
        distance = solid.hit(origin, directions)
        nearer = distance < np.minimum(depth, FARTHEST)
        depth[nearer], kind[nearer] = distance[nearer], number
    places = directions * np.where(kind == SKY, 0.0, depth)[..., None]
    return Seen(kind, depth, places)
