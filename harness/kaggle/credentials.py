"""Who we are to Kaggle: where the credentials are, and whether they work. Never printed.

The places and their order are those of the official client 2.2.4: an access token, the legacy
key, what `kaggle auth login` has stored.
"""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Literal

from harness.errors import KaggleError, UserError

FIX = (
    "make an API token on kaggle.com/settings and put it in ~/.kaggle/access_token "
    "(or in KAGGLE_API_TOKEN), or run `kaggle auth login`"
)


@dataclass(frozen=True)
class Credentials:
    """Found, not tried.

    ``source`` is a variable's or a file's name, ``file`` the one that holds the secret. A ``token``
    is an access token; a ``key`` goes with ``username``; without either the secret is in ``file``,
    in the form of `kaggle auth login`. A KaggleError for a text that cannot be any of them.
    """

    source: str
    username: str | None = None
    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    file: Path | None = None

    def __post_init__(self) -> None:
        for text in filter(None, (self.username, self.key, self.token)):
            if not text.isprintable() or " " in text:  # sent in a header of HTTP, where none may be
                raise KaggleError(self.source, "holds what is no credential", FIX)

    @property
    def warning(self) -> str | None:
        """What to do if others on this machine can read the secret."""
        if self.file is None or os.name == "nt":
            return None
        if not self.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            return None
        return (
            f"{self.file} is readable by others on this machine: chmod 600 {quote(str(self.file))}"
        )


@dataclass(frozen=True)
class Finding:
    """What is known of the credentials, in a line without secrets."""

    state: Literal["works", "found", "missing", "refused", "unreachable"]
    text: str
    warning: str | None = None


def find_credentials() -> Credentials:
    """The credentials that a call would use; a KaggleError if there are none."""
    home = _home() / ".kaggle"
    if given := os.environ.get("KAGGLE_API_TOKEN"):
        if not _is_file(given):
            return Credentials("KAGGLE_API_TOKEN", token=given)
        if token := _text(Path(given)):
            return Credentials("KAGGLE_API_TOKEN", token=token, file=Path(given))
    for file in (home / "access_token", home / "access_token.txt"):
        if file.is_file() and (token := _text(file)):
            return Credentials(str(file), token=token, file=file)
    stored, file = _legacy_key()
    username = os.environ.get("KAGGLE_USERNAME") or stored.get("username")
    key = os.environ.get("KAGGLE_KEY") or stored.get("key")
    if username and key:
        if os.environ.get("KAGGLE_KEY"):
            return Credentials("KAGGLE_KEY", username, key=key)
        return Credentials(str(file), username, key=key, file=file)
    login = home / "credentials.json"
    if login.is_file():
        return Credentials(str(login), file=login)
    raise KaggleError("kaggle", "there are no credentials", FIX)


def check_credentials(ask: Callable[[], str] | None = None) -> Finding:
    """Whether there are credentials and, if ``ask`` is given, whether Kaggle takes them.

    ``ask`` answers with the user's name, over the network (harness.kaggle.seam.ask_name does).
    """
    try:
        found = find_credentials()
        if ask is None:
            return Finding("found", f"credentials in {found.source}, not tried", found.warning)
    except UserError as error:
        return Finding("missing", str(error).removeprefix("kaggle: "))
    try:
        return Finding("works", f"{found.source} works, as {ask()}", found.warning)
    except Refusal as error:
        return Finding("refused", f"{error.found}; {error.fix}", found.warning)
    except KaggleError as error:
        return Finding("unreachable", f"{error.found}; {error.fix}", found.warning)


class Refusal(KaggleError):
    """Kaggle does not know these credentials."""


def _legacy_key() -> tuple[dict[str, str], Path]:
    """What kaggle.json holds (nothing if there is none), and its path."""
    given = os.environ.get("KAGGLE_CONFIG_DIR")
    folder = Path(given) if given else _home() / ".kaggle"
    if not given and not folder.exists():
        config = os.environ.get("XDG_CONFIG_HOME") or _home() / ".config"
        folder = Path(config) / "kaggle"
    file = folder / "kaggle.json"
    if not file.is_file():
        return {}, file
    try:
        stored = json.loads(_text(file))
    except (ValueError, RecursionError):  # said without what stands in it
        raise KaggleError(file, "is not valid JSON", "download it again") from None
    wanted = ("username", "key")
    if not isinstance(stored, dict) or not all(isinstance(stored.get(n, ""), str) for n in wanted):
        raise KaggleError(file, "holds no username and key", "download it again")
    return {name: stored[name] for name in wanted if name in stored}, file


def _home() -> Path:
    """The user's folder; a folder called ~, as libraries have it, where the system knows none."""
    return Path(os.path.expanduser("~"))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a path: it is the token itself
        return False


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KaggleError(file, f"cannot be read ({type(error).__name__})", FIX) from None
