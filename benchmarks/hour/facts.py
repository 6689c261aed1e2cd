"""The card, its driver and the versions; and what it reaches at most, measured."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator

import torch

from hour.cases import DTYPES
from hour.timing import measure
from pixelwise.benchmarks.machine import about

ASKED = ("driver_version", "clocks.max.sm", "clocks.max.mem", "power.limit", "ecc.mode.current")
COPIED, SIDE = 2**30, 8192
"""Bytes of the copy, and the side of the matrices."""


def machine(dry: bool) -> dict[str, object]:
    """The first columns of every row."""
    card = "none" if dry else torch.cuda.get_device_name()
    version = ""
    if importlib.util.find_spec("triton"):
        import triton

        version = triton.__version__
    ran = "dry run" if dry else "card"
    return about() | {"run": ran, "card": card, "driver": driver(), "triton": version}


def driver() -> str:
    """The version of NVIDIA's driver, or nothing."""
    return smi(("driver_version",)).get("driver_version", "")


def smi(asked: tuple[str, ...]) -> dict[str, str]:
    """What `nvidia-smi` says of the first card, as far as it is there."""
    command = ["nvidia-smi", f"--query-gpu={','.join(asked)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    values = done.stdout.splitlines()[0].split(",") if done.stdout else []
    return {name: value.strip() for name, value in zip(asked, values, strict=False)}


def facts(dry: bool) -> Iterator[dict[str, object]]:
    """Name, value and unit of each."""
    if dry:
        yield {"name": "interpreter", "value": os.environ.get("TRITON_INTERPRET", "0"), "unit": ""}
        return
    card = torch.cuda.get_device_properties(0)
    yield {"name": "capability", "value": f"{card.major}.{card.minor}", "unit": ""}
    yield {"name": "multiprocessors", "value": card.multi_processor_count, "unit": ""}
    yield {"name": "memory", "value": round(card.total_memory / 1e9, 1), "unit": "GB"}
    yield {
        "name": "free memory",
        "value": round(torch.cuda.mem_get_info()[0] / 1e9, 1),
        "unit": "GB",
    }
    yield {"name": "second cache", "value": round(card.L2_cache_size / 1e6, 1), "unit": "MB"}
    yield {"name": "cuda", "value": torch.version.cuda or torch.version.hip, "unit": ""}
    yield {"name": "cudnn", "value": torch.backends.cudnn.version(), "unit": ""}
    for name, value in smi(ASKED).items():
        yield {"name": name, "value": value, "unit": ""}


def copy_rate(dry: bool) -> dict[str, object]:
    """Bytes read and written in a second by a copy."""
    size, device = (2**12, "cpu") if dry else (COPIED, "cuda")
    one, other = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    other.copy_(one)
    least = measure(lambda: other.copy_(one), device, 0.5).least
    return {"name": "copy", "value": float(f"{2 * size / least / 1e3:.4g}"), "unit": "GB/s"}


def product_rate(dtype: str, dry: bool) -> dict[str, object]:
    """Operations in a second of a large matrix product; float32 is not rounded to TF32."""
    side, device = (32, "cpu") if dry else (SIDE, "cuda")
    one, other = (
        torch.randn(side, side, device=device, dtype=getattr(torch, dtype)) for _ in range(2)
    )
    found = one @ other
    least = measure(lambda: torch.mm(one, other, out=found), device, 0.7).least
    rate = float(f"{2 * side**3 / least / 1e6:.4g}")
    return {"name": f"product {dtype}", "value": rate, "unit": "TFLOP/s"}


def ceilings(rows: list[dict[str, object]]) -> dict[str, float]:
    """What was measured, in bytes and operations a second, by its name."""
    scale = {"GB/s": 1e9, "TFLOP/s": 1e12}
    return {
        str(row["name"]): float(str(row["value"])) * scale[str(row["unit"])]
        for row in rows
        if row.get("unit") in scale
    }


NAMES = ("copy", *(f"product {dtype}" for dtype in DTYPES))
"""The ceilings."""
