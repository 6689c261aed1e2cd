"""Where and with what something was measured: the first columns of every table of numbers."""

import datetime
import os
import platform
from pathlib import Path

import torch

import pixelwise


def about() -> dict[str, object]:
    """Date, processor, threads and versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pixelwise": pixelwise.__version__,
    }
