"""Weights that are computed from their names, for files that store none."""

import zlib

import numpy as np
import torch
from torch import Tensor

STEP, MIX_1, MIX_2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def uniform(key: str, count: int) -> np.ndarray:
    """`count` numbers in [-1, 1) that depend on `key` alone (splitmix64)."""
    with np.errstate(over="ignore"):
        start = np.uint64(zlib.crc32(key.encode())) << np.uint64(32)
        x = start + np.arange(count, dtype=np.uint64) + STEP
        x = (x ^ (x >> np.uint64(30))) * MIX_1
        x = (x ^ (x >> np.uint64(27))) * MIX_2
        x ^= x >> np.uint64(31)
    return 2 * ((x >> np.uint64(40)).astype(np.float64) / 2**24) - 1


def tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor that the recipe gives for the authors' `key`."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    u = uniform(key, int(np.prod(shape)))
    if key.endswith("running_var"):
        u = 1 + 0.5 * u
    elif key.endswith("running_mean"):
        u = 0.1 * u
    elif key.endswith("emau.mu"):
        u = u / np.sqrt(shape[1] / 3)
    elif key.endswith(".scale"):
        u = -0.01 * (1 + u)
    elif key.startswith("input"):
        u = 1.7 * u
    elif len(shape) >= 2:
        u = u * np.sqrt(4 / (u.size / shape[0]))
    elif key.endswith(".weight"):
        u = 1 + 0.3 * u
    elif key.endswith("gamma"):
        u = np.full_like(u, 0.6)
    else:
        u = 0.1 * u
    return torch.from_numpy(u.astype(np.float32).reshape(shape))
