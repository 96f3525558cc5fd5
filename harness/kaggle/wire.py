"""The wire under the official client: time-outs, patience where it is safe, plain errors.

The client (kagglesdk 0.1.37) sets no time-out, repeats nothing and raises what requests raises.
Here each call ends within a time; what only reads is repeated; what acts is repeated only where
Kaggle said that it has not begun.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import NewConnectionError

from harness.errors import Busy, KaggleError, Unanswered
from harness.kaggle.credentials import FIX, Refusal

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""The longest that Kaggle may say nothing during an answer."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each repetition; then it is given up."""
LONGEST_PAUSE = 120.0
"""Seconds: a server that asks for more is not waited for."""

Answer = TypeVar("Answer")


class Wire:
    """Calls through the official client, and the plain requests to the addresses that it names."""

    def __init__(
        self,
        http_client: Any,
        sleep: Callable[[float], None],
        timeout: tuple[float, float] = (CONNECT_SECONDS, SILENT_SECONDS),
    ) -> None:
        http_client._init_session()
        adapter = _TimedAdapter(timeout)
        self.storage = requests.Session()  # signed addresses: no credentials go there
        self.storage.trust_env = True
        for session in (http_client._session, self.storage):
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        self.sleep = sleep

    def read(self, what: str, call: Callable[[], Answer]) -> Answer:
        """The answer to a question, which may be asked as often as it takes."""
        return self.patiently(lambda: answered(what, call), (Busy, Unanswered))

    def act(self, what: str, call: Callable[[], Answer]) -> Answer:
        """Do something that must not be done twice; Unanswered if nobody knows whether it was."""
        return self.patiently(lambda: answered(what, call), (Busy,))

    def put(self, what: str, url: str, path: Path, *, resume: bool = False) -> None:
        """Store a file's bytes at an address: once, however often they have to be sent.

        ``resume``: the address can tell how much of them it has, so that only the rest is sent.
        """
        size, begun = path.stat().st_size, False

        def once() -> None:
            nonlocal begun
            start = self._stored(what, url, size) if resume and begun else 0
            begun = True
            if start == size > 0:
                return
            headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
            with path.open("rb") as stream:
                stream.seek(start)
                response = self.storage.put(url, data=stream, headers=headers)
            if response.status_code not in (200, 201):
                raise error_of(what, response, "")

        self.read(what, once)

    def _stored(self, what: str, url: str, size: int) -> int:
        """How many bytes of a file an address has; as Google's resumable uploads tell it."""
        response = self.storage.put(
            url, headers={"Content-Range": f"bytes */{size}"}, allow_redirects=False
        )
        if response.status_code in (200, 201):
            return size
        if response.status_code != 308:
            raise error_of(what, response, "")
        _, _, last = response.headers.get("Range", "").rpartition("-")
        return int(last) + 1 if last else 0

    @contextmanager
    def get(self, what: str, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """The answer of an address, its body not read yet; asked for once."""
        response = answered(what, lambda: self.storage.get(url, headers=headers, stream=True))
        with response:
            if response.status_code not in (200, 206):
                raise error_of(what, response, "")
            yield response

    def patiently(
        self, function: Callable[[], Answer], again: tuple[type[KaggleError], ...]
    ) -> Answer:
        """``function()``, repeated with growing pauses while it raises one of ``again``."""
        for pause in PAUSES:
            try:
                return function()
            except again as error:
                asked = getattr(error, "pause", 0.0)
                if asked > LONGEST_PAUSE:
                    raise
                self.sleep(max(pause, asked))
        return function()


class _TimedAdapter(HTTPAdapter):
    """requests' transport, which gives up on a silent server."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, request: Any, *arguments: Any, **named: Any) -> requests.Response:
        named["timeout"] = named.get("timeout") or self._timeout
        return super().send(request, *arguments, **named)


def answered(what: str, call: Callable[[], Answer]) -> Answer:
    """``call()``, with every error of the libraries below as a KaggleError that says ``what``."""
    try:
        return call()
    except requests.HTTPError as error:
        if error.response is None:
            raise Unanswered("kaggle", f"{what}: {type(error).__name__}", _LATER) from error
        raise error_of(what, error.response, str(error)) from None
    except requests.RequestException as error:
        if _never_sent(error):
            raise Busy(
                "kaggle", f"{what}: Kaggle cannot be reached", "check the network, or try later"
            ) from None
        # the message may hold a signed address, so that only the kind of error is told
        raise Unanswered("kaggle", f"{what}: no answer ({type(error).__name__})", _LATER) from None
    except (Urllib3Error, ConnectionError, TimeoutError) as error:
        raise Unanswered("kaggle", f"{what}: no answer ({type(error).__name__})", _LATER) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unanswered(
            "kaggle", f"{what}: an answer that makes no sense ({type(error).__name__})", _LATER
        ) from error


def error_of(what: str, response: requests.Response, message: str) -> KaggleError:
    """What an answer that is an error means."""
    status = _status(response)
    said = f"{what}: HTTP {status}" + (f", {message}" if message else "")
    if status == 401:
        return Refusal("kaggle", f"{what}: the credentials were refused", FIX)
    if status == 403:
        return KaggleError(
            "kaggle", said, "check the slug, and accept the competition's rules on its page"
        )
    if status == 404:
        return KaggleError("kaggle", said, "check the slug in competition.toml [competition]")
    if status == 429:
        return Busy("kaggle", said, _LATER, _retry_after(response))
    if status >= 500 or status == 408:
        return Unanswered("kaggle", said, _LATER)
    return KaggleError("kaggle", said, "mend what it says")


_LATER = "try again later"


def _status(response: requests.Response) -> int:
    """The status of the answer; Kaggle's own, in the body, goes before HTTP's."""
    try:
        return int(response.json()["code"])
    except (ValueError, KeyError, TypeError, requests.RequestException):
        return response.status_code


def _never_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    # a proxy's error wraps what kept it from being reached
    return isinstance(getattr(reason, "original_error", reason), NewConnectionError)


def _retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to wait (RFC 9110 section 10.2.3); 0 if it says no number."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
