"""Areas and lengths on an ellipsoid, from angles.

With latitude p and longitude l, the area between a line and the equator is

    dl * mean of S(p) along it,   S(p) = b^2 / 2 * (sin p / (1 - e^2 sin^2 p) + atanh(e sin p) / e)

so lines along a parallel or a meridian are measured without error. Other lines, and all lengths,
are integrated by Simpson's rule: the lines are those that are straight in angles.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray


@dataclass(frozen=True)
class Ellipsoid:
    """The shape of a planet.

    Args:
        axis: Half the longer axis, in metres.
        e2: The eccentricity squared; 0 for a sphere.
    """

    axis: float
    e2: float

    @classmethod
    def of(cls, wkt: str) -> "Ellipsoid":
        """That of a coordinate system."""
        found = re.search(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",([\d.eE+-]+),([\d.eE+-]+)', wkt)
        if found is None:
            return WGS84
        inverse = float(found[2])
        flat = 1 / inverse if inverse else 0.0
        return cls(float(found[1]), flat * (2 - flat))

    def below(self, p: ndarray) -> ndarray:
        """S(p): the area from the equator to a latitude, per radian of longitude."""
        sine, e = np.sin(p), np.sqrt(self.e2)
        other = np.arctanh(e * sine) / e if self.e2 else sine
        return self.axis**2 * (1 - self.e2) / 2 * (sine / (1 - self.e2 * sine**2) + other)

    def radii(self, p: ndarray) -> tuple[ndarray, ndarray]:
        """Metres per radian to the north and to the east at a latitude."""
        bend = 1 - self.e2 * np.sin(p) ** 2
        return self.axis * (1 - self.e2) / bend**1.5, self.axis / np.sqrt(bend) * np.cos(p)

    def area(self, p: ndarray, dp: ndarray, dl: ndarray) -> ndarray:
        """What lies between lines and the equator; positive where they run to the east.

        Args:
            p: The latitude at their beginning.
            dp: How much further north they end.
            dl: How much further east.
        """
        return dl * _mean(self.below, p, dp)

    def length(self, p: ndarray, dp: ndarray, dl: ndarray) -> ndarray:
        """The length of lines; see `area`."""

        def speed(at: ndarray) -> ndarray:
            north, east = self.radii(at)
            return np.hypot(north * dp, east * dl)

        return _mean(speed, p, dp)


WGS84 = Ellipsoid(6378137.0, 0.0066943799901413165)


def _mean(function: Callable[[ndarray], ndarray], start: ndarray, step: ndarray) -> ndarray:
    return (function(start) + 4 * function(start + step / 2) + function(start + step)) / 6
