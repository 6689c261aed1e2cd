"""Options of the test run, and where real data lies."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]

os.environ["PIXELWISE_LANG"] = "en"  # whatever the machine speaks; test_language.py says more

os.environ["PIXELWISE_KEEP_MEMORY"] = (
    "off"  # commands that run inside of the tests end; this does not
)

os.environ["PIXELWISE_CACHE"] = "off"  # nothing is left behind; what needs a folder sets it

if "PYTEST_XDIST_WORKER" in os.environ:  # `pytest -n`: workers share the cores
    torch.set_num_threads(1)


def pytest_configure(config):
    """Most tests name layers of a list, not as people do; `test_names.py` tests the notes."""
    config.addinivalue_line("filterwarnings", "ignore::pixelwise.notes.AmbiguousName")


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
        help="also build all kernels, and interpret them on large maps: twenty minutes",
    )
    parser.addoption(
        "--triton",
        type=Path,
        metavar="DIR",
        help="folder with the oldest supported Triton: pip install --no-deps --target DIR"
        " triton==3.6.0; some kernels are built with it too, all with --kernels",
    )
    parser.addoption(
        "--matrix",
        type=Path,
        metavar="FILE",
        help="write which layer keeps which promise, from a run of the contract tests",
    )
    parser.addoption(
        "--names",
        type=Path,
        metavar="FILE",
        help="write what names of layers mean, from a run of test_names_page.py",
    )
    parser.addoption(
        "--networks",
        type=Path,
        metavar="FILE",
        help="write what every network is on every backbone, from a run of the network matrix",
    )
    parser.addoption(
        "--tasks",
        type=Path,
        metavar="FILE",
        help="write which network learns which task, from a run of test_every_network.py",
    )


@pytest.fixture
def real_data():
    """The path of a file or folder of the real data; skips the test where it is absent."""

    def find(name):
        base = Path(os.environ.get("PIXELWISE_DATA", ROOT.parent / "shared" / "data"))
        if not (base / name).exists():
            pytest.skip(f"no real data: {base / name} is absent (set PIXELWISE_DATA)")
        return base / name

    return find
