"""Clusters measured on one machine, and what that means for a thousand workers.

    python studies/cluster.py measure --out studies/cluster.csv
    python studies/cluster.py picture --measured studies/cluster.csv --out docs/pictures/cluster.png

`measure` predicts a raster on one machine, by 1 and by 2 workers, with a worker killed, and on two
nodes of Ray with a node killed, and compares bytes. Then it measures by themselves, in processor
time: a window, what the driver does per task and per pixel, and the bytes that workers return.
`picture` lets events pass that take so long, for up to 1,000 workers.
"""

import argparse
import contextlib
import csv
import heapq
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import machine
from kill import family

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "token",  # nobody else can use what is started here
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
WINDOW, OVERLAP = 256, 0.25


def kill(numbers):
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def workers_of(process):
    """The processes of a command's cluster that hold a network."""
    found = []
    for number in family(process.pid):
        with contextlib.suppress(OSError):
            if b"ray::Worker" in Path(f"/proc/{number}/cmdline").read_bytes():
                found.append(number)
    return found


def prepared(folder, backbone, side):
    """A network and a raster."""
    import rasterio
    import torch

    from pixelwise import create_model

    torch.manual_seed(0)
    create_model("fcn", backbone, num_classes=5).save_pretrained(folder / "net")
    rows = np.random.default_rng(0).integers(0, 256, (3, side // 8, side // 8)).astype("uint8")
    smooth = rows.repeat(8, axis=1).repeat(8, axis=2)
    about = {"tiled": True, "compress": "deflate"}
    size = smooth.shape[1:]
    with rasterio.open(folder / "in.tif", "w", "GTiff", *size, 3, dtype="uint8", **about) as file:
        file.write(smooth)


def run(folder, out, *words, env=None, event=None):
    """Seconds of a command, and its lines on standard error; `event` is called half-way."""
    command = [
        sys.executable, "-m", "pixelwise.cli.main", "predict", str(folder / "net"),
        str(folder / "in.tif"), "--out", str(folder / out), "--window", "128", *words,
    ]  # fmt: skip
    begun = time.monotonic()
    process = subprocess.Popen(
        command, env=os.environ | QUIET | (env or {}), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    parts = folder / f".{out}.unfinished"
    first = None
    while process.poll() is None:
        if first is None and list(parts.glob("row_??????")):
            first = time.monotonic() - begun
            if event is not None:
                event(process)
        time.sleep(0.02)
    assert process.returncode == 0, process.stderr.read()
    return time.monotonic() - begun, first, process.stderr.read().splitlines()


@contextlib.contextmanager
def two_nodes():
    """Two nodes of Ray on this machine: the address, and the processes."""
    chosen = []
    for _ in range(2):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            chosen.append(one.getsockname()[1])
    about = ["--num-cpus", "1", "--object-store-memory", str(80 * 2**20), "--block"]
    about += ["--node-ip-address", "127.0.0.1"]
    nodes = []
    with tempfile.TemporaryDirectory(prefix="pwr", dir="/tmp") as folder:
        head = ["--head", "--port", str(chosen[0]), "--ray-client-server-port", str(chosen[1])]
        head += ["--include-dashboard", "false", "--temp-dir", folder]
        try:
            for words in (head, ["--address", f"127.0.0.1:{chosen[0]}"]):
                start = [sys.executable, "-m", "ray.scripts.scripts", "start", *words, *about]
                silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                nodes.append(subprocess.Popen(start, env=os.environ | QUIET, **silent))
                time.sleep(20)
            yield f"127.0.0.1:{chosen[0]}", nodes
        finally:
            for node in reversed(nodes):
                kill(family(node.pid))
                node.wait()


def by_command(folder):
    """Rows of the CSV: the whole command, in seconds by the clock."""
    pixels = pixels_of(folder)

    def row(name, workers, found, out):
        seconds, first, lines = found
        equal = (folder / out).read_bytes() == (folder / "one.tif").read_bytes()
        told = {"first_result_s": None if first is None else round(first, 1)}
        print(name, round(seconds, 1), told, equal, lines, flush=True)
        return {
            "what": name, "workers": workers, "seconds": round(seconds, 1), **told,
            "pixels": pixels, "equal": equal, "workers_ended": len(lines),
        }  # fmt: skip

    yield row("one machine, no cluster", 1, run(folder, "one.tif"), "one.tif")
    for count in (1, 2):
        words = ("--cluster", "local", "--workers", str(count))
        found = run(folder, f"w{count}.tif", *words)
        yield row("cluster local", count, found, f"w{count}.tif")
    words = ("--cluster", "local", "--workers", "2")
    found = run(folder, "k.tif", *words, event=lambda process: kill(workers_of(process)[:1]))
    yield row("cluster local, a worker killed", 2, found, "k.tif")
    with two_nodes() as (address, nodes):
        words = ("--cluster", "auto", "--workers", "2")
        env = {"RAY_ADDRESS": address}
        yield row("two nodes", 2, run(folder, "n.tif", *words, env=env), "n.tif")
        found = run(folder, "m.tif", *words, env=env, event=lambda _: kill(family(nodes[1].pid)))
        yield row("two nodes, one killed", 2, found, "m.tif")


def pixels_of(folder):
    import rasterio

    with rasterio.open(folder / "in.tif") as file:
        return file.height * file.width


def by_parts(folder):
    """Rows of the CSV: each step by itself, in this process, in processor time."""
    import torch

    from pixelwise.cluster.worker import Raster, Setup, Worker
    from pixelwise.cluster.workers import network_files
    from pixelwise.data.rasters.files import open_raster
    from pixelwise.networks.segmenter import load
    from pixelwise.predict.rasters.geotiff import Place
    from pixelwise.predict.rasters.grid import Grid
    from pixelwise.predict.rasters.product import PRODUCTS
    from pixelwise.predict.rasters.sink import GeoTIFFSink
    from pixelwise.predict.views import WHOLE

    torch.set_num_threads(1)
    model = load(folder / "net")
    path = folder / "in.tif"
    file = open_raster(path)
    grid = Grid(file.height, file.width, (WINDOW, WINDOW), OVERLAP)
    for product in ("answer", "probability"):
        bands = PRODUCTS[product](model.task)
        raster = Raster(path, grid, (bands,), WHOLE, 1, False, "fail")
        worker = Worker()
        begun = time.process_time()
        worker.load(Setup(network_files(model), "cpu", 1, {}, raster=raster))
        if product == "answer":
            yield part("loading the network", time.process_time() - begun)
        sink = GeoTIFFSink(folder / f"{product}.tif", bands, Place())
        sink.begin(grid, {})
        times, moved, put = [], 0, 0.0
        for row in range(grid.rows):
            begun = time.process_time()
            found = worker.rows(range(row, row + 1))
            windows = grid.columns * (row + 1 - grid.reaching(row))
            times.append((time.process_time() - begun) / windows)
            moved += len(found.contents[0][0])
            begun = time.process_time()
            sink.put(row, found.contents[0][0])
            put += time.process_time() - begun
        pixels = grid.height * grid.width
        begun = time.process_time()
        sink.finish(lambda what, done, total: None)
        written = time.process_time() - begun
        if product == "answer":
            yield part("a window of 256 x 256", statistics.median(times))
            yield part("the driver keeps a row of windows", put / grid.rows)
        yield part(f"the driver writes a pixel, {product}", written / pixels)
        yield part(f"bytes per pixel that workers return, {product}", None, moved / pixels)
    stride = grid.height / grid.rows
    logits = model.config.num_classes * 4 * (WINDOW / stride) ** 2
    yield part("bytes per pixel if workers returned logits", None, logits)


def by_picture(folder):
    """Rows of the CSV: a picture, in processor time."""
    from PIL import Image

    from pixelwise.cluster.worker import Setup, Worker
    from pixelwise.cluster.workers import network_files
    from pixelwise.data.rasters.files import open_raster
    from pixelwise.networks.segmenter import load
    from pixelwise.outputs import Outputs
    from pixelwise.predict.images import How, Wanted

    side = 1024
    values = open_raster(folder / "in.tif").read(window=((0, side), (0, side)))
    Image.fromarray(np.moveaxis(values, 0, 2)).save(folder / "in.png")
    worker = Worker()
    worker.load(Setup(network_files(load(folder / "net")), "cpu", 1, {}, How(window=WINDOW)))
    begun = time.process_time()
    found = worker.picture(Wanted(folder / "in.png", "in"))
    yield part("a picture of a million pixels", time.process_time() - begun)
    with Outputs(folder / "out", "predict") as outputs:
        begun = time.process_time()
        with outputs.writing(*found.write.contents):
            found.write(outputs.folder)
        yield part("the driver writes a picture", time.process_time() - begun)
    size = sum(map(len, found.write.contents.values())) / side**2
    yield part("bytes per pixel that workers return, picture", None, size)


def part(what, seconds, size=None):
    found = {"what": what, "seconds": seconds, "bytes": size}
    print(found, flush=True)
    return found


class Idle:
    """A worker whose tasks are nothing."""

    def load(self, setup):
        """The versions that are here."""
        from pixelwise.cluster.alike import versions

        return {**versions(), "host": "here"}

    def nothing(self, job):
        """The job."""
        return job


def per_task():
    """Seconds of the driver per task, and of Ray, by tasks that do nothing."""
    from pixelwise.cluster import pool
    from pixelwise.cluster.connection import connected

    idle = pool.Kind(Idle, "begin", "look at the log", "cluster")
    with connected("local") as ray:
        found = pool.Pool(ray, idle, None, 2, pool.Share(0.5), print)
        with found as workers:
            list(workers.run("nothing", range(20), str))
            begun, clock = time.process_time(), time.monotonic()
            list(workers.run("nothing", range(3000), str))
            yield part("the driver gives out a task", (time.process_time() - begun) / 3000)
            yield part("a task that does nothing, by the clock", (time.monotonic() - clock) / 3000)


def measure(options):
    steps = {
        "parts": ("resnet18", 1024, (by_parts, by_picture)),
        "commands": ("test_resnet", 2048, (by_command,)),
    }
    rows = [*per_task()] if "tasks" in options.steps else []
    for backbone, side, measures in (steps[name] for name in options.steps if name in steps):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepared(folder, backbone, side)
            rows += [row for each in measures for row in each(folder)]
    new = {row["what"] for row in rows}
    if options.out.exists():
        with options.out.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["what"] not in new] + rows
    machine.write(options.out, rows)


def until_done(tasks, workers, at_driver, start=0.0):
    """Seconds until all tasks are done.

    Args:
        tasks: Seconds of each.
        workers: How many there are.
        at_driver: Seconds that the driver, which does one thing at a time, needs for each.
        start: Until the first worker is there.
    """
    free = [start] * min(workers, len(tasks))
    heapq.heapify(free)
    done = []
    for seconds in tasks:
        end = heapq.heappop(free) + seconds
        heapq.heappush(free, end)
        done.append(end)
    driver = start
    for end in sorted(done):
        driver = max(driver, end) + at_driver
    return driver


def simulated(measured, *, side, workers, rate, start, pixel_cost):
    """Seconds for a raster of side x side pixels: (windows, all with the file's writing)."""
    from pixelwise.cluster.blocks import blocks
    from pixelwise.predict.rasters.grid import Grid

    grid = Grid(side, side, (1024, 1024), OVERLAP)
    parts = blocks(grid, range(grid.rows), workers, 1)
    row = grid.columns * 1024**2 / rate
    again = [rows.start - grid.reaching(rows.start) for rows in parts]
    tasks = [(len(rows) + more) * row for rows, more in zip(parts, again, strict=True)]
    kept = measured["the driver keeps a row of windows"] * grid.rows / len(parts)
    cost = measured["the driver gives out a task"] + kept
    windows = until_done(tasks, workers, cost, start)
    return windows, windows + side**2 * pixel_cost


def picture(options):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with options.measured.open(newline="") as file:
        measured = {r["what"]: float(r["seconds"]) for r in csv.DictReader(file) if r["seconds"]}
    core = WINDOW**2 / measured["a window of 256 x 256"]
    write = measured["the driver writes a pixel, answer"]
    give = measured["the driver gives out a task"]
    keep = measured["the driver writes a picture"]
    start = 30.0
    counts = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for rate, name in (
        (core, f"cores, {core / 1e6:.2f} Mpx/s each"),
        (20e6, "GPUs, 20 Mpx/s each"),
    ):
        area = 100_000**2
        both = [
            simulated(measured, side=100_000, workers=n, rate=rate, start=start, pixel_cost=write)
            for n in counts
        ]
        line = left.plot(counts, [area / w / 1e6 for w, _ in both], marker="o", ms=3, label=name)
        left.plot(
            counts, [area / t / 1e6 for _, t in both], ls="--", color=line[0].get_color(),
            label="with the file's writing",
        )  # fmt: skip
        for count, (w, t) in zip(counts, both, strict=True):
            print(f"raster {name} {count}: {w:.0f} s, {t:.0f} s", flush=True)
        pictures, size = 100_000, 1e6
        task = [size / rate] * pictures
        speed = [pictures / until_done(task, n, give + keep, start) for n in counts]
        right.plot(counts, speed, marker="o", ms=3, label=name)
        print("pictures", name, [round(s, 1) for s in speed], flush=True)
    left.set(title="One raster of 100,000 x 100,000 pixels", ylabel="million pixels per second")
    right.set(title="100,000 pictures of a million pixels", ylabel="pictures per second")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="workers")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(options.out, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("measure")
    first.add_argument("--steps", nargs="+", default=("parts", "tasks", "commands"))
    first.add_argument("--out", type=Path, required=True)
    first.set_defaults(run=measure)
    second = commands.add_parser("picture")
    second.add_argument("--measured", type=Path, required=True)
    second.add_argument("--out", type=Path, required=True)
    second.set_defaults(run=picture)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
