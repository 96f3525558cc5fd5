"""The review page: doubted labels as a grid, served to this machine only.

Who may ask: a browser on this machine that was given the address. The server listens on the
loopback interface, wants a secret in every path, and refuses requests whose Host header is not its
own, so that no page of another site can reach it by a name that points here (DNS rebinding).
What it shows is data: it travels as JSON and is set as text, and a policy forbids any script but
the page's own.
"""

import hmac
import io
import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from harness.audit.suspects import Doubt
from harness.competition import Rendering
from harness.data.corrections import (
    ACTIONS,
    Correction,
    append_corrections,
    read_corrections,
    standing,
)
from harness.data.images import USUAL, decode
from harness.errors import DataError

THUMBNAIL = 256
_MOST_BYTES = 10_000
"""More than any decision takes."""


@dataclass
class Review:
    """What is reviewed, and where decisions go."""

    doubts: Sequence[Doubt]
    labels: Sequence[str]
    paths: Sequence[Path]
    corrections: Path
    rendering: Rendering = USUAL
    now: Callable[[], str] = lambda: datetime.now(UTC).isoformat(timespec="seconds")
    lock: Lock = field(default_factory=Lock)

    def items(self) -> dict[str, Any]:
        """What the page shows: labels, and each doubt with the decision that stands."""
        decided = standing(read_corrections(self.corrections))
        return {
            "labels": list(self.labels),
            "items": [
                {
                    "id": doubt.id,
                    "given": doubt.given,
                    "likely": doubt.likely,
                    "doubt": doubt.doubt,
                    "action": decided[doubt.id].action if doubt.id in decided else "",
                    "label": decided[doubt.id].label if doubt.id in decided else "",
                }
                for doubt in self.doubts
            ],
        }

    def decide(self, wanted: Any) -> dict[str, Any]:
        """Write a decision {"item": number, "action": …, "label": …}; the items as they now are.

        A ValueError if it makes no sense.
        """
        if not isinstance(wanted, Mapping) or not isinstance(wanted.get("item"), int):
            raise ValueError("a decision names its item")
        number, action, label = wanted["item"], wanted.get("action"), wanted.get("label", "")
        if not 0 <= number < len(self.doubts) or action not in ACTIONS:
            raise ValueError("no such item or action")
        if action == "relabel" and label not in self.labels:
            raise ValueError("no such label")
        with self.lock:
            id_ = self.doubts[number].id
            if action == "undo" and id_ not in standing(read_corrections(self.corrections)):
                return self.items()  # nothing to take back
            label = label if action == "relabel" else ""
            append_corrections(self.corrections, Correction(self.now(), id_, action, label))
            return self.items()

    def thumbnail(self, number: int) -> bytes:
        """The picture of an item as PNG: decoded here, so that no file's bytes reach the browser.

        An IndexError if there is no such item, a DataError if it cannot be read.
        """
        if not 0 <= number < len(self.paths):
            raise IndexError(number)
        (pixels,) = decode(self.paths[number], (THUMBNAIL,), self.rendering)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format="PNG")
        return stream.getvalue()


class ReviewServer(ThreadingHTTPServer):
    """Serves one review at ``address`` until it is shut down."""

    daemon_threads = True

    def __init__(self, review: Review) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)  # a free port
        self.review = review
        self.token = secrets.token_urlsafe(24)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a browser went away in the middle."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def hosts(self) -> tuple[str, str]:
        """What a request's Host header may say."""
        port = self.server_address[1]
        return f"127.0.0.1:{port}", f"localhost:{port}"

    @property
    def address(self) -> str:
        """Where the page is, secret included."""
        return f"http://{self.hosts[0]}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    timeout = 30  # seconds that a client may take to say what it wants
    server_version = "harness"
    sys_version = ""

    def do_GET(self) -> None:
        what = self._wanted()
        if what is None:
            return
        review = self.server.review
        try:
            if what == "":
                self._page()
            elif what == "items":
                self._send(HTTPStatus.OK, "application/json", json.dumps(review.items()).encode())
            elif what.startswith("image/") and what.removeprefix("image/").isdecimal():
                number = int(what.removeprefix("image/"))
                self._send(HTTPStatus.OK, "image/png", review.thumbnail(number))
            else:
                self._refuse(HTTPStatus.NOT_FOUND)
        except (IndexError, ValueError, DataError):
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        what = self._wanted()
        if what is None:
            return
        length = self.headers.get("Content-Length", "")
        # another site's form cannot send JSON without asking first, and is not answered
        if what != "decide" or self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            items = self.server.review.decide(json.loads(self.rfile.read(int(length))))
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        except (OSError, DataError):  # the page says that it was not saved
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self._send(HTTPStatus.OK, "application/json", json.dumps(items).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the address holds the secret."""

    def _wanted(self) -> str | None:
        """The path below the secret; None once a request was refused."""
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        _, token, *rest = (self.path.split("?")[0] + "/").split("/", 2)
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        return rest[0].rstrip("/") if rest else ""

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        page = files("harness.audit").joinpath("review.html").read_text(encoding="utf-8")
        policy = (
            "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
            f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        body = page.replace("NONCE", nonce).encode()
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", body, policy)

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def _send(
        self, status: HTTPStatus, kind: str, body: bytes, policy: str = "default-src 'none'"
    ) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
