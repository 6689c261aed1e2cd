"""Ray, started here or joined, and left again.

The settings of Ray's that matter are read when it is imported, so they are made before.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError, in_one_line
from pixelwise.outputs import is_running
from pixelwise.shortage import memory_here

PLACES = "local, auto or ray://host:port"
REACHED_WITHIN = 5.0
"""Seconds in which a cluster's port must answer."""
JOINED_WITHIN = 300
"""Seconds in which it must let us in, or start."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # `Pool` says in one line that a worker ended
}
STORE = (80 * 2**20, 2**30)
"""Least and most bytes of the memory that results pass through, for a cluster started here."""
LONGEST_FOLDER = 40
"""Letters; Ray makes sockets in it, whose names may have 107."""
OURS = "pw-ray-"


def check_cluster(text: str) -> None:
    """Raise an InputError where it cannot be a cluster, or Ray is missing; loads nothing."""
    if text not in ("local", "auto"):
        _host_and_port(text)
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            f"cluster={text!r}: Ray is needed for clusters; pip install 'pixelwise[cluster]'"
        )


@contextlib.contextmanager
def connected(cluster: str) -> Iterator[Any]:
    """The module `ray`, connected; what was started here is stopped in the end.

    Args:
        cluster: "local" starts Ray on this machine, "auto" joins the cluster that this machine is
            part of, and an address ray://host:port one elsewhere.

    Raises:
        InputError: It cannot be reached, or has another version of Ray or Python.
    """
    check_cluster(cluster)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    with contextlib.ExitStack() as ended:
        about: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if cluster == "local":
            least, most = STORE
            about |= {
                "address": "local", "include_dashboard": False,
                "object_store_memory": min(most, max(least, (memory_here() or 0) // 10)),
                "_temp_dir": str(ended.enter_context(_folder())),
            }  # fmt: skip
        else:
            about["address"] = _reached(cluster)
        ended.callback(_left, ray)
        try:
            with _within(JOINED_WITHIN):
                ray.init(**about)
        except Exception as error:
            raise InputError(
                f"cluster={cluster!r}: cannot be used ({in_one_line(error, 300)}); check that it"
                f" runs Ray {ray.__version__}, and the same Python as here"
            ) from error
        yield ray


@contextlib.contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Raise a TimeoutError where the block takes longer; not on Windows, nor in threads."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _left(ray: Any) -> None:
    with contextlib.suppress(Exception):
        ray.shutdown()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for what Ray writes, with a short name; those of killed processes are removed."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > LONGEST_FOLDER - len(OURS) - 10:
        base = Path("/tmp")
    for old in base.glob(f"{OURS}*"):
        number = old.name.removeprefix(OURS)
        if number.isdecimal() and not is_running(int(number)):
            shutil.rmtree(old, ignore_errors=True)
    folder = base / f"{OURS}{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reached(cluster: str) -> str:
    """The address to give to Ray, whose own trials last for minutes."""
    if cluster != "auto":
        host, port = _host_and_port(cluster)
        _knock(cluster, host, port, "check host and port, 10001 unless chosen otherwise")
        return cluster
    from ray._private.services import canonicalize_bootstrap_address

    remedy = "start one with `ray start --head`, or take --cluster local"
    try:
        found = canonicalize_bootstrap_address("auto")
    except Exception:  # its way of saying that there is none
        found = None
    if found is None:
        raise InputError(f"cluster='auto': no Ray runs on this machine; {remedy}")
    host, _, port = found.rpartition(":")
    _knock(f"auto ({found})", host, int(port), remedy)
    return found


def _knock(cluster: str, host: str, port: int, remedy: str) -> None:
    try:
        socket.create_connection((host, port), timeout=REACHED_WITHIN).close()
    except OSError as error:
        told = error.strerror or f"no answer in {REACHED_WITHIN:g} s"
        raise InputError(f"cluster={cluster!r}: cannot be reached ({told}); {remedy}") from error


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.removeprefix("ray://").rpartition(":")
    fits = text.startswith("ray://") and host and colon and port.isdecimal()
    if not fits or not 0 < int(port) < 2**16:
        raise InputError(f"cluster={text!r}: must be {PLACES}; e.g. ray://10.0.0.1:10001")
    return host, int(port)
