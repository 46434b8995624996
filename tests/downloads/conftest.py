"""A server on this machine that serves files well and badly."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, build_opener

import pytest

from lightrec.downloads.transfer import RedirectsWithinScheme, Transfer


@dataclass
class Served:
    """A file of the server.

    Attributes:
        data: its content.
        etag: its version; None sends none.
        ranges: whether parts of it can be asked for.
        cuts: for each next request, after how many bytes of the answer the connection is cut.
        statuses: for each next request, the status that it gets in place of the file.
        location: where a redirection leads.
        headers: more headers, which win over the usual ones; None leaves one out.
        asked: the Range of each request that came.
    """

    data: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    files: dict[str, Served]

    def do_GET(self) -> None:
        served = self.files.get(self.path)
        if served is None:
            self.send_error(404)
            return
        served.asked.append(self.headers["Range"])
        if served.location:
            self.send_response(302)
            self.send_header("Location", served.location)
            self.end_headers()
            return
        if served.statuses:
            self.send_error(served.statuses.pop(0))
            return
        begin = self._begin(served)
        if begin >= len(served.data) > 0:
            self.send_error(416)
            return
        body = served.data[begin:]
        headers: dict[str, str | None] = {"Content-Length": str(len(body)), "ETag": served.etag}
        if begin:
            last = len(served.data) - 1
            headers["Content-Range"] = f"bytes {begin}-{last}/{last + 1}"
        self.send_response(206 if begin else 200)
        for name, value in (headers | served.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: served.cuts.pop(0)] if served.cuts else body)

    def _begin(self, served: Served) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = self.headers["If-Range"] in (served.etag, served.headers.get("Last-Modified"))
        return int(asked[1]) if asked and served.ranges and same else 0

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Server:
    """Where it listens, and what it serves by path."""

    url: str
    files: dict[str, Served]

    def add(self, path: str, data: bytes, **options) -> Served:
        self.files[path] = Served(data, **options)
        return self.files[path]


class Listening(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Says nothing of clients that go, or do not speak its language."""


@pytest.fixture
def server():
    files: dict[str, Served] = {}
    handler = type("HandlerOfOneTest", (Handler,), {"files": files})
    listening = Listening(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Server(f"http://127.0.0.1:{listening.server_port}", files)
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def waits() -> list[float]:
    """The seconds that a transfer waited."""
    return []


@pytest.fixture
def transfer(waits) -> Transfer:
    """Fetches over plain http from this machine, and never really waits."""
    opener = build_opener(ProxyHandler({}), RedirectsWithinScheme())
    return Transfer(opener=opener, timeout=5.0, wait=waits.append)
