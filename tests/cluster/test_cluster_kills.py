"""Ray itself: started, workers and machines killed, and stopped again."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise import create_model
from pixelwise.cli.main import main

pytest.importorskip("ray", reason="clusters need Ray")
rasterio = pytest.importorskip("rasterio", reason="rasters need rasterio")
pytestmark = pytest.mark.slow
PATIENCE = 600
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "token",  # nobody else can use what is started here
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
PICTURES = 16


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A network, a folder of pictures, a raster, and what one machine makes of them."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    create_model("fcn", "test_resnet", num_classes=3).save_pretrained(folder / "net")
    chance = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(PICTURES):
        picture = chance.integers(0, 256, (200 + number, 160, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{number:02d}.png")
    (folder / "pictures" / "broken.png").write_bytes(b"no")
    about = {"crs": "EPSG:32636", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 2e4)}
    for name, height in (("in.tif", 1500), ("tall.tif", 6000)):
        values = chance.integers(0, 256, (3, height, 600)).astype("uint8")
        about["height"] = height
        with rasterio.open(folder / name, "w", "GTiff", 600, count=3, dtype="uint8", **about) as f:
            f.write(values)
    here(pictures(folder, "one"))
    here(raster(folder, "one.tif"))
    assert len(list((folder / "one").glob("*.png"))) == 2 * PICTURES
    assert (folder / "one.tif").exists()
    return folder


def here(words):
    """A command in this process, with as many threads as the others have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return main(words)
    finally:
        torch.set_num_threads(threads)


def command(folder, *words):
    return ["predict", str(folder / "net"), *words, "--quiet"]


def pictures(folder, out, *words):
    inputs = (str(folder / "pictures"), "--out", str(folder / out))
    return command(folder, *inputs, "--window", "64", *words)


def raster(folder, out, *words, source="in.tif"):
    return command(
        folder, str(folder / source), "--out", str(folder / out), "--window", "64", *words
    )


def family(process):
    """Its number and those of all that it began, and they."""
    found = [process]
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def named(word, processes):
    """Those of the processes whose command line begins with, or holds, a word."""
    found = []
    for number in processes:
        with contextlib.suppress(OSError):
            if word in Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace"):
                found.append(number)
    return found


def kill(process):
    """It, and all that it began."""
    for number in family(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


def ended(process):
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def begun(words, env=None):
    return subprocess.Popen(
        [sys.executable, "-m", "pixelwise.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | QUIET | (env or {}),
    )


def wait_until(true, process):
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def same_pictures(folder, out):
    names = sorted(path.name for path in (folder / "one").glob("*.png"))
    assert names == sorted(path.name for path in (folder / out).glob("*.png"))
    for name in names:
        assert (folder / "one" / name).read_bytes() == (folder / out / name).read_bytes(), name


def test_a_killed_worker_changes_no_picture(place):
    process = begun(pictures(place, "two", "--cluster", "local", "--workers", "2"))
    wait_until(lambda: len(list((place / "two").glob("*.png"))) > 6, process)
    os.kill(named("ray::Worker", family(process.pid))[0], signal.SIGKILL)
    code, out, err = ended(process)
    assert code == 1, err  # one picture is broken
    assert f"{PICTURES} of {PICTURES + 1} pictures predicted" in out
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert any("broken.png" in line for line in lines)
    assert any(line.startswith("cluster: a worker ended (") for line in lines)
    same_pictures(place, "two")
    assert not list(Path(tempfile.gettempdir()).glob(f"pw-ray-{process.pid}"))


def test_ctrl_c_stops_and_what_is_done_is_gone_on_with(place):
    cluster = ("--cluster", "local", "--workers", "1")
    process = begun(raster(place, "three.tif", *cluster, source="tall.tif"))
    rows, all_of_them = place / ".three.tif.unfinished", []

    def begins():
        all_of_them[:] = family(process.pid)  # first, since rows follow one another quickly
        return list(rows.glob("row_??????"))

    wait_until(begins, process)
    os.kill(process.pid, signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130, err
    assert err.startswith("interrupted; the finished rows of ")
    assert len(err.splitlines()) == 1
    until = time.monotonic() + 30
    while any(Path(f"/proc/{number}").exists() for number in all_of_them[1:]):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert list(rows.glob("row_??????"))
    for out in ("three.tif", "at_once.tif"):
        assert here(raster(place, out, source="tall.tif")) == 0  # without a cluster
    assert (place / "at_once.tif").read_bytes() == (place / "three.tif").read_bytes()


@pytest.fixture
def machines():
    """Two nodes on this machine: the port of the first, its port for clients, and how to kill."""
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
                wait_until(lambda: answers(chosen[1]), nodes[0])
            wait_until(lambda: named("raylet/raylet", family(nodes[1].pid)), nodes[1])
            time.sleep(10)  # it joins
            yield chosen[0], chosen[1], nodes
        finally:
            for node in reversed(nodes):
                kill(node)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_machine_that_is_killed_changes_nothing(place, machines):
    port, client, nodes = machines
    address = {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    process = begun(pictures(place, "four", "--cluster", f"ray://127.0.0.1:{client}"))
    code, out, err = ended(process)
    if "Starting Ray client server failed" in err:
        pytest.skip("Ray cannot start its own client server on this machine")
    assert code == 1, err  # one picture is broken
    assert f"{PICTURES} of {PICTURES + 1} pictures predicted" in out
    same_pictures(place, "four")

    process = begun(raster(place, "five.tif", "--cluster", "auto", "--workers", "2"), address)
    rows = place / ".five.tif.unfinished"
    wait_until(lambda: list(rows.glob("row_??????")), process)
    kill(nodes[1])
    code, _, err = ended(process)
    assert code == 0, err
    assert all(line.startswith("cluster: a worker ended") for line in err.splitlines()), err
    assert (place / "one.tif").read_bytes() == (place / "five.tif").read_bytes()

    kill(nodes[0])
    code, _, err = ended(begun(raster(place, "six.tif", "--cluster", "auto"), address))
    assert code == 2
    assert "cannot be reached" in err
    assert len(err.splitlines()) == 1
