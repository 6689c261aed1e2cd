"""How long a click on the page takes: studies/serve_clicks.csv.

python studies/serve_clicks.py --out studies/serve_clicks.csv

For each network, at its usual output stride, a picture of 512 x 512 pixels is opened, and pixels
are asked for: in this process (`answers.pixel` and the packing of the answer), and through the
server on 127.0.0.1. `open_s` is the time until the mask of a new picture is there. `cpu_ms` is
processor time of a click in this process, over all threads; `load` is how many processes wanted to
run. Where that is far above the cores, the clock measures the others, and `cpu_ms` says more.
"""

import argparse
import os
import statistics
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import torch

import machine
from pixelwise.networks.factory import create_model
from pixelwise.serve.answers import pixel
from pixelwise.serve.frames import frame
from pixelwise.serve.running import Server
from pixelwise.serve.seeing import see
from pixelwise.serve.served import Served

SIDE, CLASSES, WARM = 512, 19, 2
NETWORKS = [
    ("danet", "resnet18", None),
    ("danet", "resnet50", None),
    ("isanet", "resnet18", None),
    ("isanet", "resnet50", None),
    ("psanet", "resnet18", None),
    ("psanet", "resnet50", None),
    ("ocrnet", "resnet18", None),
    ("ocrnet", "resnet50", None),
    ("fcn", "resnet18", "psa_s"),
    ("fcn", "resnet50", "psa_s"),
]


def places(count):
    """Pixels all over the picture."""
    random = np.random.default_rng(0)
    return [tuple(map(int, random.integers(0, SIDE, 2))) for _ in range(count)]


def told(times, name):
    """Median and 95th percentile, in milliseconds."""
    ordered = sorted(1000 * one for one in times)
    last = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {
        f"{name}_median_ms": f"{statistics.median(ordered):.1f}",
        f"{name}_p95_ms": f"{last:.1f}",
    }


def in_process(model, image, clicks):
    start = time.perf_counter()
    seen = see(model, image, None)
    opened = time.perf_counter() - start
    times, processor = [], []
    for at in places(clicks + WARM):
        start, before = time.perf_counter(), time.process_time()
        frame(pixel(seen, at))
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - before)
    layers = pixel(seen, (0, 0))["layers"]
    return {
        "layers": "+".join(one["key"] for one in layers),
        "maps": "+".join(f"{one['height']}x{one['width']}" for one in layers),
        "kept_mb": f"{seen.kept / 1e6:.0f}",
        "open_s": f"{opened:.2f}",
        **told(times[WARM:], "click"),
        "cpu_ms": f"{1000 * statistics.median(processor[WARM:]):.1f}",
    }


def through_server(model, image, clicks):
    from PIL import Image

    file = Path("serve_clicks_picture.png")
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    server = Server(Served([("run", model)], [file]), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.ready:
            time.sleep(0.01)
        with httpx.Client(base_url=server.address, timeout=600) as http:
            content = http.post("api/open?index=0").content
            name = content.partition(b'"id": "')[2][:16].decode()
            times = []
            for row, column in places(clicks + WARM):
                start = time.perf_counter()
                http.get(f"api/picture/{name}/pixel?row={row}&column={column}").raise_for_status()
                times.append(time.perf_counter() - start)
    finally:
        server.stop()
        thread.join()
        file.unlink()
    return told(times[WARM:], "server")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="networks whose names begin so")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    image = torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8)
    rows = []
    for arch, backbone, attention in NETWORKS:
        if not arch.startswith(options.only):
            continue
        model = create_model(arch, backbone, num_classes=CLASSES, attention=attention).eval()
        row = {
            "network": arch if attention is None else f"{arch}+{attention}",
            "backbone": backbone,
            "side": SIDE,
            "clicks": options.clicks,
            "threads": options.threads,
            "load": f"{os.getloadavg()[0]:.0f}",
            **in_process(model, image, options.clicks),
            **through_server(model, image, options.clicks),
        }
        rows.append(row)
        print(row, flush=True)
        machine.write(options.out, rows)


if __name__ == "__main__":
    main()
