"""Functions in processes of their own, torch imported once for all of them."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from pixelwise.errors import InputError

Result = TypeVar("Result")


PRELOADED, FOR_NETWORKS = "pixelwise.benchmarks.child", "pixelwise.networks.factory"
"""Imported once, by a server that forks; where there is none each process does it. The server runs
nothing: a process forked behind the first parallel operation would hang in the next."""


class ChildFailed(Exception):
    """The process raised something, or ended without an answer."""


def begin(*, networks: bool = False) -> None:
    """Start what processes are forked from, which takes its time beside what the caller does."""
    context = _context()
    if context.get_start_method() == "forkserver":
        from multiprocessing.forkserver import ensure_running

        context.set_forkserver_preload([PRELOADED, FOR_NETWORKS] if networks else [PRELOADED])
        ensure_running()


def alone(function: Callable[..., Result], *arguments: Any) -> Result:
    """What `function(*arguments)` returns in a fresh process.

    Raises:
        InputError: It raised one.
        ChildFailed: It raised anything else, or was ended, as where memory is used up.
    """
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = _context().Process(  # type: ignore[attr-defined]
        target=_answer, args=(sending, function, arguments), daemon=True
    )
    process.start()
    sending.close()
    try:
        kind, found = receiving.recv()
    except EOFError:
        process.join()
        code = process.exitcode
        why = "killed; memory used up?" if code == -9 else f"exit code {code}"
        raise ChildFailed(f"process ended: {why}") from None
    finally:
        receiving.close()
        if process.is_alive():
            process.kill()
        process.join()
    if kind == "input":
        raise InputError(found)
    if kind == "error":
        raise ChildFailed(found)
    return found


def told(error: Exception) -> str:
    """The kind of an error and its first line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _answer(sending: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    try:
        sending.send(("result", function(*arguments)))
    except InputError as error:
        sending.send(("input", str(error)))
    except Exception as error:
        sending.send(("error", told(error)))


def _context() -> BaseContext:
    known = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in known else "spawn")
