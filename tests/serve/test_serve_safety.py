"""Who may ask, and what no question does."""

import contextlib
import json
import socket
import threading
import time

import httpx
import pytest

from pixelwise.errors import InputError
from pixelwise.serve import running, uploads
from pixelwise.serve.app import page_files
from pixelwise.serve.security import HEADERS, is_loopback


def test_every_answer_has_the_headers(serving, network, pictures):
    client = serving([network], pictures)
    opened = client.open_listed(0)
    for answer in (
        client.get("/"),
        client.get("/main.js"),
        client.get(f"/api/picture/{opened['id']}/pixel?row=1&column=1"),
        client.get("/nothing"),
        client.get("/", headers={"host": "evil.example"}),
        client.send(b"nothing"),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (answer.url, name)
        assert "server" not in answer.headers
    assert "unsafe" not in HEADERS["content-security-policy"]
    assert "http" not in HEADERS["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:{port}"}, 200),
        ({"host": "127.0.0.1:{port}", "origin": "http://127.0.0.1:{port}"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"host": "evil.example:{port}"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "192.168.1.5:{port}"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://127.0.0.1:{port}"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_hosts_and_sites_are_refused(serving, network, headers, status):
    client = serving([network])
    told = {name: value.format(port=client.server.port) for name, value in headers.items()}
    for answer in (client.get("/api/describe", headers=told), client.send(b"no picture", **told)):
        assert answer.status_code == (
            400 if status == 200 and answer.request.method == "POST" else status
        )
        if status == 403:
            assert list(answer.json()) == ["error"]


def test_away_from_this_machine_a_token_is_needed(serving, network):
    client = serving([network], host="0.0.0.0")
    server = client.server
    assert f"?token={server.token}" in server.address
    assert len(server.token) >= 32
    for headers in ({}, {"x-token": "wrong"}, {"x-token": ""}, {"cookie": "a=b;;=\x01"}):
        answer = client.get("/api/describe", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"].startswith("token: is missing or wrong; open")
    assert client.get("/?token=wrong").status_code == 401
    assert client.get(f"/api/describe?token={server.token}").status_code == 401
    assert client.get("/api/describe", headers={"x-token": server.token}).status_code == 200
    entered = client.get(f"/?token={server.token}")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict; Path=/" in cookie
    assert client.get("/api/describe").status_code == 200  # the client keeps the cookie
    client.http.cookies.clear()
    assert client.get("/api/describe").status_code == 401
    evil = client.get("/api/describe", headers={"x-token": server.token, "host": "evil.example"})
    assert evil.status_code == 403


def test_this_machine_alone_needs_none(serving, network):
    client = serving([network])
    assert client.server.token is None
    assert client.server.address == f"http://127.0.0.1:{client.server.port}/"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.0.3", False), ("example.org", False),
    ],
)  # fmt: skip
def test_which_addresses_are_this_machine_alone(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "path",
    [
        "/../cli/main.py", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/app.py", "/page/index.html",
        "//etc/passwd", "/app.py", "/__init__.py", "/static/../index.html", "/docs",
        "/openapi.json", "/api/picture/..%2f..%2fetc/pixel?row=0&column=0", "/%00",
        "/index.html%00.js",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(serving, network, path):
    client = serving([network])
    with socket.create_connection(("127.0.0.1", client.server.port), 5) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"404", b"400"), head
    assert list(json.loads(body)) == ["error"]
    assert set(page_files()) >= {"index.html", "main.js", "style.css"}


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/api/open?index=7", 400, "index=7: the list has 2 pictures; choose one of them"),
        ("/api/open?index=-1", 400, "index=-1: the list has 2 pictures; choose one of them"),
        ("/api/open?index=../a", 422, "index: "),
        ("/api/open?index=99999999999999999999999", 400, "index=999"),
    ],
)
def test_pictures_are_asked_for_by_number(serving, network, pictures, path, status, told):
    client = serving([network], pictures)
    answer = client.http.post(path)
    assert (answer.status_code, answer.json()["error"][: len(told)]) == (status, told)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("row=40&column=0", "row=40, column=0: the picture has rows 0..39"),
        ("row=-1&column=0", "row=-1"),
        ("row=1&column=1&run=1", "run=1: there are 1"),
        ("row=1", "column: "),
        ("row=nan&column=1", "row: "),
        ("row=1e3&column=1", "row: "),
    ],
)
def test_wrong_pixels_are_one_line(serving, network, pictures, query, told):
    client = serving([network], pictures)
    opened = client.open_listed(0)
    answer = client.get(f"/api/picture/{opened['id']}/pixel?{query}")
    line = answer.json()["error"]
    assert answer.status_code in (400, 422)
    assert line.startswith(told)
    assert "; " in line
    assert "\n" not in line
    gone = client.get("/api/picture/0123456789abcdef/pixel?row=0&column=0")
    assert gone.json()["error"].endswith("is not open any more; open it again")


def test_bodies_are_limited(serving, network):
    client = serving([network], bytes=1000)
    assert client.get("/api/describe").json()["maxBytes"] == 1000
    assert client.send(b"x" * 1001).status_code == 413
    parts = (b"x" * 100 for _ in range(30))  # without a length
    assert client.send(parts).status_code == 413
    assert client.send(b"").status_code == 400
    form = client.http.post("/api/open", files={"a": b"x"})
    assert form.status_code == 415
    assert "application/octet-stream" in form.json()["error"]


def test_slow_bodies_end(serving, network, monkeypatch):
    monkeypatch.setattr(uploads, "PAUSE", 0.2)
    client = serving([network])

    def slow():
        yield b"x"
        time.sleep(1)
        yield b"x"

    with contextlib.suppress(httpx.TransportError):  # closed before all was sent
        assert client.send(slow()).status_code == 408
    assert client.get("/api/describe").status_code == 200


def test_silent_connections_are_closed(serving, network, monkeypatch):
    monkeypatch.setattr(running, "SILENT", 0.2)
    client = serving([network])
    with socket.create_connection(("127.0.0.1", client.server.port), 5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert raw.recv(100) == b""
    assert client.get("/api/describe").status_code == 200


def test_huge_heads_are_refused(serving, network):
    client = serving([network])
    with contextlib.suppress(httpx.TransportError):  # closed while it was sent
        answer = client.get("/api/describe", headers={"x-name": "n" * 200_000})
        assert answer.status_code == 400
    assert client.get("/api/describe").status_code == 200


def test_several_clients_at_once(serving, network, pictures):
    client = serving([network], pictures)
    wrong, done = [], []

    def work(number):
        with httpx.Client(base_url=client.server.address, timeout=60) as http:
            opened = client.frame(http.post(f"/api/open?index={number % 2}"))
            for row in range(5):
                where = f"/api/picture/{opened['id']}/pixel?row={row}&column={number}"
                found = client.frame(http.get(where))
                (done if found["row"] == row else wrong).append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(done), wrong) == (30, [])


def test_a_taken_port_is_one_line(serving, network):
    client = serving([network])
    with pytest.raises(InputError, match=rf"port={client.server.port}: is taken; choose another"):
        running.bound("127.0.0.1", client.server.port)
    with pytest.raises(InputError, match=r"host='192.0.2.77', port=None: cannot be listened on"):
        running.bound("192.0.2.77", None)


def test_the_next_free_port_is_taken(monkeypatch):
    with running.bound("127.0.0.1", 0) as first:
        monkeypatch.setattr(running, "PORT", first.getsockname()[1])
        with running.bound("127.0.0.1", None) as second:
            assert second.getsockname()[1] > first.getsockname()[1]
        monkeypatch.setattr(running, "TRIED", 1)
        with pytest.raises(InputError, match=r"are taken; choose another --port"):
            running.bound("127.0.0.1", None)
