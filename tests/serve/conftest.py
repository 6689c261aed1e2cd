"""Networks, pictures and servers for the tests of the page."""

import threading
import time

import numpy as np
import pytest
from PIL import Image
from serve_client import Client, made

from pixelwise.serve.running import Server
from pixelwise.serve.saving import collection_for
from pixelwise.serve.served import Limits, Served


@pytest.fixture(scope="session")
def network():
    """DANet of three classes: weights of each pixel, and gates of channels."""
    return made()


@pytest.fixture
def pictures(tmp_path):
    """Two pictures, of 40 rows and 56 columns."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    files = []
    for name in ("a.png", "街 景.png"):
        values = random.integers(0, 256, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / name)
        files.append(folder / name)
    return files


@pytest.fixture
def serving():
    """Starts servers, and ends them after the test."""
    started = []

    def start(models, files=(), *, save_to=None, host="127.0.0.1", **limits):
        named = [(f"run{i}", model) for i, model in enumerate(models)]
        saving = None if save_to is None else collection_for(models[0], save_to)
        served = Served(named, files, saving=saving, limits=Limits(**limits))
        server = Server(served, host, 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        client = Client(server)
        started.append((server, thread, client))
        for _ in range(100):
            if server.ready:
                break
            time.sleep(0.02)
        return client

    yield start
    for server, thread, client in started:
        client.http.close()
        server.stop()
        thread.join(10)
        assert not thread.is_alive()
