"""The server itself: a free port, the token, and a clean end."""

import asyncio
import logging
import secrets
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pixelwise.errors import InputError
from pixelwise.serve.app import create_app
from pixelwise.serve.security import Guard, is_loopback
from pixelwise.serve.served import Served

PORT = 8765
TRIED = 20
CONNECTIONS = 128
SILENT = 20.0
"""Seconds within which a connection must have sent the head of a request."""
HEAD = 32 * 1024
"""Bytes of a request's head at most."""


class Patient(H11Protocol):
    """HTTP that closes a connection which does not get to the point."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.loop.call_later(SILENT, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens: on `port`, or on the first free one from `PORT` on.

    Raises:
        InputError: The port is taken, or this machine has no such address.
    """
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in [port] if port is not None else range(PORT, PORT + TRIED):
        found = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, number))
            found.listen(CONNECTIONS)
            return found
        except OSError as error:
            found.close()
            wrong = error
            if isinstance(error, socket.gaierror) or error.errno not in TAKEN:
                break
    if isinstance(wrong, socket.gaierror) or wrong.errno not in TAKEN:
        raise InputError(
            f"host={host!r}, port={port}: cannot be listened on ({wrong.strerror}); choose another"
        )
    which = f"port={port}: is" if port is not None else f"ports {PORT} to {PORT + TRIED - 1}: are"
    raise InputError(f"{which} taken; choose another --port")


TAKEN = (48, 98, 10048)
"""What systems say where a port is taken: macOS, Linux, Windows."""


class Server:
    """A server that listens, and answers once it runs.

    Args:
        served: What it answers with.
        host: The address to listen on; another machine reaches it only by a token.
        port: None: the first free one.

    Raises:
        InputError: The port is taken, or there is no such address.
    """

    def __init__(self, served: Served, host: str = "127.0.0.1", port: int | None = None) -> None:
        self._served = served
        self._socket = bound(host, port)
        self.host, self.port = host, self._socket.getsockname()[1]
        self.token = None if is_loopback(host) else secrets.token_urlsafe(24)
        app = Guard(
            create_app(served), host=host, token=self.token, cookie=f"pixelwise-{self.port}"
        )
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=Patient,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=2,
                h11_max_incomplete_event_size=HEAD,
            )
        )

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host = self.host
        if host in ("0.0.0.0", "::"):
            host = _own_address()
        host = f"[{host}]" if ":" in host else host
        query = "" if self.token is None else f"?token={self.token}"
        return f"http://{host}:{self.port}/{query}"

    def run(self) -> None:
        """Answer until it is stopped; Ctrl-C is a usual end."""
        try:
            self._server.run(sockets=[self._socket])
        except (KeyboardInterrupt, asyncio.CancelledError):
            pass
        finally:
            self._socket.close()
            self._served.close()

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return bool(self._server.started)

    def stop(self) -> None:
        """End `run`, which may be in another thread."""
        self._server.should_exit = True


def _own_address() -> str:
    """This machine's address in its network, without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
            return str(one.getsockname()[0])
        except OSError:
            return socket.gethostname()
