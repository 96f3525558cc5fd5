"""Kaggle's side of the contract on 127.0.0.1, as the official client 2.2.4 speaks to it.

It keeps what a competition is made of, and can be told to fail at any step, before or after it
has acted. Reached as the client's LOCALHOST environment, through ``http_proxy``.
"""

import base64
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

USER, KEY, TOKEN = "ann", "legacy-key", "access-token"
Json = dict[str, Any]

BEFORE = ("500", "503", "429", "401", "reset before", "hang before")
"""Faults after which nothing has happened."""
AFTER = ("reset after", "reset during", "hang after", "500 after", "garbled")
"""Faults after which it has happened, and the client cannot know."""


class Refused(Exception):
    """An answer that is an error: HTTP status and message."""


class Kaggle:
    """What Kaggle keeps, and the calls on it: a method of this class for each call's name."""

    def __init__(self) -> None:
        self.competition = "leaves"
        self.allowed = 5
        self.joined = True
        self.archive = b""
        self.files: dict[str, int] = {}
        self.etag = '"one"'
        self.submissions: list[Json] = []
        self.teams: list[float] = []
        self.score: Callable[[Json], Json] = lambda submission: {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.sent_from: list[int] = []
        self.datasets: dict[str, list[list[str]]] = {}
        self.kernels: dict[str, list[Json]] = {}
        self.kernel_runs: list[Json] = []
        self.kernel_output: dict[str, bytes] = {}
        self.kernel_log = ""
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.calls: list[str] = []
        self.asked_from: list[int] = []
        self.stalled = threading.Event()
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.port = 0

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def page(self, request: Json, rows: list[Any], size: int = 20) -> tuple[list[Any], Json]:
        start = int(request.get("pageToken") or 0)
        size = min(int(request.get("pageSize", size)), 200)
        end = start + size
        return rows[start:end], {"nextPageToken": str(end)} if end < len(rows) else {}

    def known(self, request: Json) -> None:
        if request["competitionName"] != self.competition:
            raise Refused(403, "Permission 'competitions.participate' was denied")

    # the calls

    def ListCompetitions(self, request: Json) -> Json:
        return {"competitions": [{"ref": self.competition}]}

    def IntrospectToken(self, request: Json) -> Json:
        return {"active": request["token"] == TOKEN, "username": USER}

    def ListDataFiles(self, request: Json) -> Json:
        self.known(request)
        rows = [{"name": name, "totalBytes": size} for name, size in self.files.items()]
        page, more = self.page(request, rows)
        return {"files": page} | more

    def GetSubmissionLimits(self, request: Json) -> Json:
        self.known(request)
        if not self.joined:
            return {}
        made = len(self.submissions)
        return {"numToday": made, "numTotal": made, "numAllowedNow": max(0, self.allowed - made)}

    def ListSubmissions(self, request: Json) -> Json:
        self.known(request)
        page, more = self.page(request, [self._scored(s) for s in reversed(self.submissions)])
        return {"submissions": page} | more

    def GetSubmission(self, request: Json) -> Json:
        for submission in self.submissions:
            if submission["ref"] == request["ref"]:
                return self._scored(submission)
        raise Refused(404, "no such submission")

    def StartSubmissionUpload(self, request: Json) -> Json:
        self.known(request)
        return self._blob(request)

    def StartBlobUpload(self, request: Json) -> Json:
        return self._blob(request)

    def CreateSubmission(self, request: Json) -> Json:
        self.known(request)
        blob = self.blobs.get(request["blobFileTokens"])
        if blob is None:
            raise Refused(400, "no such upload")
        return self._submit(request, {"totalBytes": len(blob), "fileName": "submission.csv"})

    def CreateCodeSubmission(self, request: Json) -> Json:
        self.known(request)
        kernel = f"{request['kernelOwner']}/{request['kernelSlug']}"
        if not 1 <= request.get("kernelVersion", 0) <= len(self.kernels.get(kernel, [])):
            raise Refused(400, "Could not find provided notebook")
        return self._submit(request, {"fileName": request["fileName"]})

    def GetLeaderboard(self, request: Json) -> Json:
        self.known(request)
        rows = [{"teamId": i, "score": str(score)} for i, score in enumerate(self.teams)]
        page, more = self.page(request, [*rows, {"teamId": len(rows)}])  # one without a score
        return {"submissions": page} | more

    def GetDatasetStatus(self, request: Json) -> Json:
        if self._dataset(request) not in self.datasets:
            raise Refused(404, "Not found")
        return {"status": "READY"}

    def CreateDataset(self, request: Json) -> Json:
        name = f"{request['ownerSlug']}/{request['slug']}"
        if name in self.datasets:
            return {"status": "error", "error": "The requested title is already in use"}
        return self._version(name, request["files"])

    def CreateDatasetVersion(self, request: Json) -> Json:
        return self._version(self._dataset(request), request["body"]["files"])

    def ListDatasetFiles(self, request: Json) -> Json:
        tokens = self.datasets[self._dataset(request)][-1]
        rows = [{"name": t.split(":", 1)[1], "totalBytes": len(self.blobs[t])} for t in tokens]
        page, more = self.page(request, rows)
        return {"datasetFiles": page} | more

    def SaveKernel(self, request: Json) -> Json:
        versions = self.kernels.setdefault(request["slug"], [])
        missing = [s for s in request.get("datasetDataSources", []) if s not in self.datasets]
        versions.append(request)
        url = f"https://www.kaggle.com/code/{request['slug']}"
        answer = {"versionNumber": len(versions), "url": url, "ref": request["slug"]}
        return answer | ({"invalidDatasetSources": missing} if missing else {})

    def GetKernelSessionStatus(self, request: Json) -> Json:
        return self.kernel_runs.pop(0) if len(self.kernel_runs) > 1 else self.kernel_runs[0]

    def ListKernelSessionOutput(self, request: Json) -> Json:
        files = [{"fileName": n, "url": self.address(f"output/{n}")} for n in self.kernel_output]
        page, more = self.page(request, files)
        return {"files": page, "log": self.kernel_log} | more

    # what they share

    def _blob(self, request: Json) -> Json:
        name = request.get("fileName") or request["name"]
        token = f"blob{len(self.blobs)}{len(self.calls)}:{name}"
        return {"token": token, "createUrl": self.address(f"blob/{token}")}

    def _submit(self, request: Json, submission: Json) -> Json:
        if len(self.submissions) >= self.allowed:
            raise Refused(400, "You have used all your submissions today")
        ref = 1000 + len(self.submissions)
        self.submissions.append(
            {
                "ref": ref,
                "date": f"2026-01-01T{len(self.submissions) // 60:02d}:"
                f"{len(self.submissions) % 60:02d}:00.000Z",
                "description": request.get("submissionDescription", ""),
                "status": "PENDING",
            }
            | submission
        )
        return {"message": "Successfully submitted", "ref": ref}

    def _scored(self, submission: Json) -> Json:
        return submission | self.score(submission)

    def _dataset(self, request: Json) -> str:
        return f"{request['ownerSlug']}/{request['datasetSlug']}"

    def _version(self, name: str, files: list[Json]) -> Json:
        tokens = [file["token"] for file in files]
        if lost := [token for token in tokens if token not in self.blobs]:
            raise Refused(400, f"no such upload: {lost[0]}")
        self.datasets.setdefault(name, []).append(tokens)
        return {"status": "ok", "ref": name, "url": f"https://www.kaggle.com/datasets/{name}"}


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        method = urlsplit(self.path).path.rsplit("/", 1)[-1]
        request = json.loads(self._body() or b"{}")
        if method == "DownloadDataFiles":
            self._fault(method, lambda: self._redirect(self.kaggle.address("file/leaves.zip")))
        else:
            self._fault(method, lambda: self._call(method, request))

    def do_PUT(self) -> None:
        token = urlsplit(self.path).path.removeprefix("/blob/")
        fault = self._next("PUT")
        length = int(self.headers.get("Content-Length", 0))
        span = self.headers.get("Content-Range", "bytes 0-")
        there = self.kaggle.parts.get(token, b"")
        if span.startswith("bytes */"):
            return self._act(fault, lambda: self._so_far(token, there))
        start = int(span.removeprefix("bytes ").partition("-")[0])
        self.kaggle.sent_from.append(start)
        if fault == "reset during":
            self.kaggle.parts[token] = there[:start] + self.rfile.read(length // 2)
            return self._reset()
        body = there[:start] + self.rfile.read(length)

        def store() -> None:
            self.kaggle.blobs[token] = body
            self._reply(201, b"")

        self._act(fault, store)

    def _so_far(self, token: str, part: bytes) -> None:
        self.send_response(201 if token in self.kaggle.blobs else 308)
        if part:
            self.send_header("Range", f"bytes=0-{len(part) - 1}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        kaggle = self.kaggle
        body = kaggle.archive
        if path.startswith("/output/"):
            body = kaggle.kernel_output[path.removeprefix("/output/")]
        self._fault("GET", lambda: self._send(body, kaggle.etag))

    @property
    def kaggle(self) -> Kaggle:
        return self.server.kaggle

    def _call(self, method: str, request: Json) -> None:
        basic = "Basic " + base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        if self.headers["Authorization"] not in (basic, f"Bearer {TOKEN}"):
            return self._error(401, "Unauthenticated")
        try:
            with self.kaggle.lock:
                answer = getattr(self.kaggle, method)(request)
        except Refused as refused:
            status, message = refused.args
            return self._error(status, message)
        self._json(200, answer)

    def _fault(self, step: str, act: Callable[[], None]) -> None:
        self._act(self._next(step), act)

    def _next(self, step: str) -> str | None:
        self.kaggle.calls.append(step)
        waiting = self.kaggle.faults[step]
        return waiting.pop(0) if waiting else None

    def _act(self, fault: str | None, act: Callable[[], None]) -> None:
        if fault in (None, "none"):
            return act()
        if fault in ("500", "503", "429", "401"):
            return self._error(int(fault), f"fault {fault}")
        if fault in AFTER or fault in ("truncated", "stall"):
            self._silently(act, fault)
        if fault == "stall":
            self.kaggle.stalled.set()
            self.kaggle.released.wait(30)
        if fault.startswith("hang"):
            self.kaggle.released.wait(30)
        elif fault.startswith("reset"):
            self._reset()
        elif fault == "500 after":
            self._error(500, "fault 500")
        elif fault == "garbled":
            self._reply(200, b"<html>ok</html>", "application/json")
        return None

    def _silently(self, act: Callable[[], None], fault: str) -> None:
        """Act, and send nothing of the answer; the others send its first half."""
        sent = bytearray()
        write = self.wfile.write
        self.wfile.write = lambda data: sent.extend(data) or len(data)  # type: ignore[assignment]
        act()
        self.wfile.write = write  # type: ignore[method-assign]
        if fault in ("reset during", "truncated", "stall"):
            head = sent.index(b"\r\n\r\n") + 4
            write(bytes(sent[: head + (len(sent) - head) // 2]))
            self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _send(self, body: bytes, etag: str) -> None:
        status, start = 200, 0
        asked = self.headers.get("Range")
        if asked and self.headers.get("If-Range", etag) == etag:
            status, start = 206, int(asked.removeprefix("bytes=").rstrip("-"))
            self.kaggle.asked_from.append(start)
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:])

    def _redirect(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _error(self, status: int, message: str) -> None:
        self._json(status, {"code": status, "message": message})

    def _json(self, status: int, answer: Json) -> None:
        self._reply(status, json.dumps(answer).encode(), "application/json; charset=utf-8")

    def _reply(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "3")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for them
    kaggle: Kaggle

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what the tests are about."""


@contextmanager
def serving() -> Iterator[Kaggle]:
    """The contract server on a free port, with its address in ``port``."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.kaggle = kaggle = Kaggle()
    kaggle.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield kaggle
    finally:
        kaggle.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
