"""The addresses of the server: the page's files, and the answers to its questions."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pixelwise.errors import InputError
from pixelwise.serve.frames import frame
from pixelwise.serve.served import Served
from pixelwise.serve.uploads import Refused, plain_name, received
from pixelwise.shortage import is_shortage

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
OPENING, LOOKING = 2, 4
"""So many pictures are opened, and so many pixels answered, at once; others wait."""
Found = TypeVar("Found")


def page_files() -> dict[str, tuple[str, bytes]]:
    """Name -> type and content of the page's files; nothing else of the disk is ever sent."""
    found = {}
    for file in files("pixelwise.serve").joinpath("page").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in KINDS:
            found[file.name] = (KINDS[suffix], file.read_bytes())
    return found


def create_app(served: Served) -> FastAPI:
    """The server's answers, without a guard before them."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page = page_files()
    opening, looking = CapacityLimiter(OPENING), CapacityLimiter(LOOKING)

    async def done(limiter: CapacityLimiter, work: Callable[[], Found]) -> Found:
        return await to_thread.run_sync(work, limiter=limiter)

    @app.get("/")
    async def index() -> Response:
        return _file(page["index.html"])

    @app.get("/api/describe")
    async def describe() -> Response:
        return _json(served.describe())

    @app.get("/api/pictures")
    async def pictures() -> Response:
        return _json(served.pictures())

    @app.post("/api/open")
    async def open_picture(request: Request, index: int | None = None) -> Response:
        if index is not None:
            return await done(opening, lambda: _frame(served.open_listed(index)))
        content = await _body(request, served.limits.bytes)
        name = plain_name(request.headers.get("x-name"))
        return await done(opening, lambda: _frame(served.open_sent(content, name)))

    @app.get("/api/picture/{name}/pixel")
    async def pixel(name: str, row: int, column: int, run: int = 0) -> Response:
        return await done(looking, lambda: _frame(served.pixel(name, (row, column), run)))

    @app.get("/api/picture/{name}/class")
    async def class_map(name: str, k: int, run: int = 0) -> Response:
        return await done(looking, lambda: _frame(served.class_map(name, k, run)))

    @app.post("/api/picture/{name}/save")
    async def save(name: str, request: Request) -> Response:
        content = await _body(request, 2 * int(served.limits.megapixels * 1e6) + 8)
        return _json(await done(opening, lambda: served.save(name, content)))

    @app.get("/favicon.ico")
    async def icon() -> Response:
        return _file(page["icon.svg"])

    @app.get("/{file}")
    async def page_file(file: str) -> Response:
        if file not in page:
            raise HTTPException(404)
        return _file(page[file])

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return _error(error.status, error.line)

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> Response:
        return _error(400, " ".join(str(error).split()))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return _error(422, f"{name}: {first['msg']}; send a whole number")

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        return _error(error.status_code, f"{error.detail}; open the page at /")

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        if is_shortage(error):
            return _error(507, "memory did not suffice; take a smaller picture")
        told = " ".join(str(error).split())[:200]
        return _error(500, f"{type(error).__name__}{told and ': '}{told}; see the server's lines")

    return app


async def _body(request: Request, most: int) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0] != "application/octet-stream":
        raise Refused(415, "content-type: must be application/octet-stream; send the file itself")
    return await received(request.stream(), request.headers.get("content-length"), most)


def _file(found: tuple[str, bytes]) -> Response:
    return Response(found[1], media_type=found[0])


def _json(content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")


def _frame(content: Any) -> Response:
    return Response(frame(content), media_type="application/octet-stream")


def _error(status: int, line: str) -> Response:
    return Response(
        json.dumps({"error": line}, ensure_ascii=False), status, media_type="application/json"
    )
