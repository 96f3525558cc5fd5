"""The review server: whom it answers, what it writes, and how little it trusts."""

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from PIL import Image

from harness.audit.review import Review, ReviewServer
from harness.audit.suspects import Doubt
from harness.data.corrections import read_corrections, standing

LABELS = ("ant", "<script>alert(1)</script>")


@pytest.fixture
def review(tmp_path: Path) -> Review:
    doubts = [
        Doubt("a", "ant", LABELS[1], 0.9),
        Doubt('<img src=x onerror="alert(2)">', LABELS[1], "ant", 0.4),
    ]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    Image.new("RGB", (20, 10), "red").save(paths[0])
    paths[1].write_bytes(b"no picture")
    return Review(doubts, LABELS, paths, tmp_path / "corrections.csv", now=lambda: "now")


@pytest.fixture
def server(review: Review) -> Iterator[ReviewServer]:
    server = ReviewServer(review)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Client:
    """Asks the server as a browser would, or otherwise."""

    def __init__(self, server: ReviewServer) -> None:
        self.server = server

    def ask(
        self, path: str, *, body: object = None, token: str | None = None, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=10)
        headers = {"Host": self.server.hosts[0], **headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(
            "GET" if body is None else "POST",
            f"/{self.server.token if token is None else token}/{path}",
            None if body is None else json.dumps(body),
            headers,
        )
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    def status(self, path: str, **options: object) -> int:
        return self.ask(path, **options)[0].status  # type: ignore[arg-type]


@pytest.fixture
def client(server: ReviewServer) -> Client:
    return Client(server)


def test_the_page_comes_with_a_policy_against_foreign_script(client: Client) -> None:
    response, page = client.ask("")
    policy = response.headers["Content-Security-Policy"]
    assert response.status == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">' in page.decode()
    assert b"http" not in page  # nothing comes from elsewhere
    assert b"alert(" not in page  # data travel as JSON only


def test_two_pages_have_two_nonces(client: Client) -> None:
    first, second = (client.ask("")[0].headers["Content-Security-Policy"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1:80@x"])
def test_other_hosts_are_refused(client: Client, host: str) -> None:
    assert client.status("", Host=host) == 403
    body = {"item": 0, "action": "drop"}
    assert client.status("decide", body=body, Host=host) == 403
    assert not client.server.review.corrections.exists()


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_without_the_secret_nothing_is_told(client: Client, token: str) -> None:
    from urllib.parse import quote

    assert client.status("items", token=quote(token)) == 403
    assert client.status("decide", body={"item": 0, "action": "drop"}, token=quote(token)) == 403


def test_only_loopback_is_listened_on(server: ReviewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_decisions_are_appended_and_taken_back(client: Client) -> None:
    path = client.server.review.corrections
    for body in (
        {"item": 0, "action": "relabel", "label": LABELS[1]},
        {"item": 1, "action": "drop"},
        {"item": 1, "action": "undo"},
        {"item": 1, "action": "undo"},  # nothing is left to take back
        {"item": 1, "action": "skip"},
    ):
        response, content = client.ask("decide", body=body)
        assert response.status == 200
    assert [item["action"] for item in json.loads(content)["items"]] == ["relabel", "skip"]
    lines = read_corrections(path)
    assert [line.action for line in lines] == ["relabel", "drop", "undo", "skip"]
    assert standing(lines)["a"].label == LABELS[1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"item": "0", "action": "keep"},
        {"item": 2, "action": "keep"},
        {"item": -1, "action": "keep"},
        {"item": 0, "action": "explode"},
        {"item": 0, "action": "relabel", "label": "cow"},
    ],
)
def test_decisions_without_sense_are_refused(client: Client, body: object) -> None:
    assert client.status("decide", body=body) == 400
    assert not client.server.review.corrections.exists()


def test_a_form_of_another_page_is_not_answered(client: Client) -> None:
    body = {"item": 0, "action": "drop"}
    assert client.status("decide", body=body, **{"Content-Type": "text/plain"}) == 404
    assert not client.server.review.corrections.exists()


def test_more_than_a_decision_takes_is_not_read(client: Client) -> None:
    assert client.status("decide", body={"item": 0, "label": "x" * 20_000}) == 413


def test_pictures_are_decoded_here(client: Client) -> None:
    response, content = client.ask("image/0")
    assert response.headers["Content-Type"] == "image/png"
    assert content.startswith(b"\x89PNG")
    for path in ("image/1", "image/2", "image/-1", "image/x", "../a.png", "nothing"):
        assert client.status(path) == 404
