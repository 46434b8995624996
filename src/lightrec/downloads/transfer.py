"""How a connection to a publisher's host is opened: https alone, also after a redirection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPResponse
from typing import IO, Protocol, cast
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from lightrec.errors import LightRecError


class Opener(Protocol):
    """What sends a request, as openers of urllib do."""

    def open(self, request: Request, *, timeout: float) -> HTTPResponse:
        """Sends the request and reads the answer's head."""


class RedirectsWithinScheme(HTTPRedirectHandler):
    """Follows redirections only to the scheme that was asked for."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        """The request to the new place.

        Raises:
            LightRecError: it has another scheme.
        """
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise LightRecError(
                f"{req.full_url}: the host sends on to {newurl}, which is not "
                f"{urlsplit(req.full_url).scheme}; refused. Download the file by hand and give it "
                "with --from FILE"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class HttpsOnly:
    """Opens https addresses, through the environment's proxy if it names one, and nothing else."""

    def __init__(self) -> None:
        self._director = OpenerDirector()
        for handler in (
            ProxyHandler(),
            HTTPSHandler(),
            HTTPDefaultErrorHandler(),
            HTTPErrorProcessor(),
            RedirectsWithinScheme(),
        ):
            self._director.add_handler(handler)

    def open(self, request: Request, *, timeout: float) -> HTTPResponse:
        """Sends the request and reads the answer's head.

        Raises:
            LightRecError: the address is not https.
        """
        if request.type != "https":
            raise LightRecError(f"{request.full_url}: refused, only https is used")
        return cast(HTTPResponse, self._director.open(request, timeout=timeout))


@dataclass(frozen=True)
class Transfer:
    """How files are fetched.

    Attributes:
        opener: sends the requests.
        attempts: how often a broken transfer is taken up again before giving up.
        timeout: seconds without a byte after which a connection counts as broken.
        wait: waits so many seconds before the next attempt; they double each time.
        progress: shows a bar when standard error is a terminal.
    """

    opener: Opener = field(default_factory=HttpsOnly)
    attempts: int = 5
    timeout: float = 30.0
    wait: Callable[[float], None] = time.sleep
    progress: bool = False
