"""Where and with what a benchmark ran: the columns that every CSV here begins with."""

import csv
import datetime
import os
import platform
from pathlib import Path

import torch

import pixelwise


def about():
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


def write(path, rows):
    """Write rows as CSV, each with the machine before its own columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*about(), *names], restval="")
        writer.writeheader()
        writer.writerows(about() | row for row in rows)
