"""Who may ask: the right host, no other site, and away from this machine who knows the token.

A page of another site must neither read nor change anything here. A browser says by `Origin` and
`Sec-Fetch-Site` where a request comes from, and by `Host` which name it looked up: a name of
somebody else that leads to this address is refused (DNS rebinding); numbers lead nowhere else.
"""

import hmac
import ipaddress
import json
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that is listened on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets requests through that may be answered, and adds `HEADERS` to every answer.

    Args:
        app: What answers.
        host: The address that is listened on.
        token: What whoever asks must know; None: nothing.
        cookie: The name under which browsers keep it.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, cookie: str) -> None:
        self._app, self._host, self._token, self._cookie = app, host, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        told = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        wrong = self._wrong_origin(told)
        if wrong is not None:
            return await _answered(secured, 403, wrong)
        if self._token is None:
            return await self._app(scope, receive, secured)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_token(given):
            return await _moved(secured, f"{self._cookie}={self._token}")
        if self._is_token(told.get(HEADER, "")) or self._is_token(self._kept(told)):
            return await self._app(scope, receive, secured)
        line = "token: is missing or wrong; open the whole address that `pixelwise serve` printed"
        return await _answered(secured, 401, line)

    def _wrong_origin(self, told: dict[str, str]) -> str | None:
        """Why a request is refused by where it comes from, or None."""
        host = told.get("host", "")
        if not self._knows(_name_of(host)):
            return (
                f"host={host[:60]!r}: is not this server; open the address that `pixelwise serve`"
                " printed"
            )
        origin = told.get("origin")
        if origin is not None and origin != f"http://{host}":
            return f"origin={origin[:60]!r}: is another site; open the page of this server"
        if told.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "sec-fetch-site: the request comes from another site; type the address"
        return None

    def _knows(self, name: str) -> bool:
        if name in ("localhost", self._host):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            here = socket.gethostname().lower()
            return not is_loopback(self._host) and name.lower() in (here, f"{here}.local")
        return address.is_loopback or not is_loopback(self._host)

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(
            given.encode("utf-8", "replace"), self._token.encode()
        )

    def _kept(self, told: dict[str, str]) -> str:
        try:
            found = SimpleCookie(told.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value


def _name_of(host: str) -> str:
    """A `Host` header without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


async def _moved(send: Send, cookie: str) -> None:
    headers = [
        (b"location", b"/"),
        (b"set-cookie", f"{cookie}; HttpOnly; SameSite=Strict; Path=/".encode()),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answered(send: Send, status: int, line: str) -> None:
    body = json.dumps({"error": line}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
