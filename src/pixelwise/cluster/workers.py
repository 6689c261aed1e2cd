"""How many workers there are, and what a network is for them."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pixelwise.checks import at_least
from pixelwise.cluster.connection import connected
from pixelwise.cluster.pool import Share
from pixelwise.errors import InputError
from pixelwise.export.exported import ExportedFile
from pixelwise.networks.model import Model
from pixelwise.networks.segmenter import Segmenter


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected.

    Args:
        ray: The module.
        workers: How many there are to be, at most.
        share: What each takes of a machine.
        device: Where networks run.
        warn: Told what happens to workers.
        threads: That each may have where they are not to wait for each other.
    """

    ray: Any
    workers: int
    share: Share
    device: str
    warn: Callable[[str], None] = print
    threads: int = 1


@contextmanager
def cluster_at(
    place: str,
    *,
    workers: int | None = None,
    gpu_share: float = 1.0,
    device: str = "auto",
    warn: Callable[[str], None] = print,
) -> Iterator[Cluster]:
    """Connect to a cluster; see `connected`.

    Args:
        place: "local", "auto" or ray://host:port.
        workers: How many; None: one per GPU, or else as many as there are cores for.
        gpu_share: The share of a GPU that a worker takes, so that several share one.
        device: "cpu", "cuda", or "auto": GPUs where the cluster has some.
        warn: Told what happens to workers.

    Raises:
        InputError: It cannot be reached, or has no such devices.
    """
    if workers is not None:
        at_least(1, workers=workers)
    if not 0 < gpu_share <= 1:
        raise InputError(f"gpu_share={gpu_share:g}: must be above 0 and at most 1; e.g. 0.5")
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device={device!r}: must be auto, cpu or cuda on a cluster; take auto")
    with connected(place) as ray:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cores, gpus = ([int(each.get(what, 0)) for each in machines] for what in ("CPU", "GPU"))
        if device == "cuda" and not any(gpus):
            raise InputError(f"device='cuda': the cluster {place!r} has no GPU; take 'cpu'")
        if not any(cores):
            raise InputError(f"cluster={place!r}: has no cores for tasks; add machines to it")
        if device != "cpu" and any(gpus):
            count = workers or sum(math.floor(each / gpu_share) for each in gpus)
            share = Share(min(1.0, sum(cores) / count), gpu_share)
            each = max(1, min(torch.get_num_threads(), sum(cores) // count))
            yield Cluster(ray, count, share, "cuda", warn, each)
        else:
            count, share = shares(cores, workers, torch.get_num_threads())
            yield Cluster(ray, count, share, "cpu", warn, max(1, int(share.cpus)))


def shares(cores: Sequence[int], workers: int | None, threads: int) -> tuple[int, Share]:
    """How many workers there are on processors, and what each takes.

    Args:
        cores: Of each machine.
        workers: How many are wanted; None: as many as there is room for.
        threads: That a worker uses; it takes so many cores, or fewer where many are wanted.
    """
    most = min(threads, max(cores))
    if workers is None:
        return sum(each // most for each in cores), Share(float(most))
    for size in range(most, 0, -1):
        if sum(each // size for each in cores) >= workers:
            return workers, Share(float(size))
    return workers, Share(math.floor(1000 * sum(cores) / workers) / 1000)


def network_files(model: Model) -> Mapping[str, bytes]:
    """The files of a network, by name: those of a saved one, or an exported file.

    Raises:
        InputError: It has none.
    """
    if isinstance(model, ExportedFile):
        path = Path(model.runner.name)
        if not path.is_file():
            raise InputError(f"model={path}: is no file, so it cannot be sent; give the file")
        beside = (path, path.with_suffix(".json"), path.with_name(path.name + ".data"))
        return {file.name: file.read_bytes() for file in beside if file.is_file()}
    if not isinstance(model, Segmenter):
        raise InputError(
            f"model={type(model).__name__}: cannot be sent to a cluster; give a network of ours or"
            " an exported file"
        )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
