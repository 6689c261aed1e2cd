"""Networks to serve, and a client that asks as the page does."""

import dataclasses
import json
import struct

import httpx
import numpy as np
import torch

from pixelwise.networks.factory import create_model

NAMES = ("ground", "road", "树")
ARRAYS = {"uint8": "u1", "uint16": "<u2", "float32": "<f4"}


def made(arch="danet", names=NAMES, seed=0, **options):
    torch.manual_seed(seed)
    task = options.get("task", "multiclass")
    count = 1 if task == "binary" else len(names)
    model = create_model(arch, "test_resnet", num_classes=count, **options).eval()
    model.config = dataclasses.replace(model.config, names=tuple(names))
    return model


def unpacked(content):
    """A frame's head with its arrays in their places, as the page reads it."""
    (length,) = struct.unpack("<I", content[:4])
    start = 4 + length
    assert start % 8 == 0

    def placed(value):
        if set(value) == {"array", "offset", "length"}:
            assert value["offset"] % 8 == 0
            return np.frombuffer(
                content, ARRAYS[value["array"]], value["length"], start + value["offset"]
            )
        return value

    return json.loads(content[4:start], object_hook=placed)


class Client:
    """Asks a server as the page does."""

    def __init__(self, server):
        self.server = server
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30)

    def get(self, path, **options):
        return self.http.get(path, **options)

    def frame(self, answer):
        assert answer.status_code == 200, answer.text
        return unpacked(answer.content)

    def open_listed(self, index):
        return self.frame(self.http.post(f"/api/open?index={index}"))

    def send(self, content, name="sent.png", **headers):
        told = {"content-type": "application/octet-stream", "x-name": name, **headers}
        return self.http.post("/api/open", content=content, headers=told)

    def pixel(self, opened, row, column, run=0):
        where = f"/api/picture/{opened['id']}/pixel?row={row}&column={column}&run={run}"
        return self.frame(self.get(where))

    def save(self, opened, mask):
        headers = {"content-type": "application/octet-stream"}
        where = f"/api/picture/{opened['id']}/save"
        return self.http.post(where, content=mask.tobytes(), headers=headers)
