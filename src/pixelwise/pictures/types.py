"""Arrays that hold pictures, as jaxtyping names them."""

import numpy as np
from jaxtyping import Integer, UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Sheet = UInt8[np.ndarray, "_ _ 3"]
"""A picture whose size is its own."""
Mask = Integer[np.ndarray, "h w"]
