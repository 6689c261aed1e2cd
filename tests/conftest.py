"""Options of the test run."""

import os
from pathlib import Path

import torch

if "PYTEST_XDIST_WORKER" in os.environ:  # `pytest -n`: workers share the cores
    torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption(
        "--golden",
        type=Path,
        metavar="DIR",
        help="folder of recorded vectors to test in place of tests/golden/vectors",
    )
    parser.addoption(
        "--errors",
        type=Path,
        metavar="FILE",
        help="write how far each recorded system is from ours, from a run of tests/golden",
    )
    parser.addoption(
        "--kernels",
        action="store_true",
        help="also build all kernels, and interpret them on large maps: a quarter of an hour",
    )
    parser.addoption(
        "--matrix",
        type=Path,
        metavar="FILE",
        help="write which layer keeps which promise, from a run of the contract tests",
    )
    parser.addoption(
        "--networks",
        type=Path,
        metavar="FILE",
        help="write what every network is on every backbone, from a run of the network matrix",
    )
