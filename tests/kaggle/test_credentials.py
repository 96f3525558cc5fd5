"""Credentials: found where the official client looks for them, never told, tried only if asked."""

import json
import os
from pathlib import Path

import pytest
from contract_server import KEY, TOKEN, USER
from contract_server import Kaggle as Server

from harness.errors import KaggleError
from harness.kaggle.credentials import check_credentials, find_credentials
from harness.kaggle.seam import ask_name, connect


@pytest.fixture
def home(server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without credentials, nor any in the environment."""
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("time.sleep", lambda _: None)
    folder = Path.home() / ".kaggle"
    folder.mkdir(mode=0o700)
    return folder


def secret_file(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def test_none_are_missing_and_nothing_is_asked(home: Path, server: Server) -> None:
    finding = check_credentials(ask_name)
    assert finding.state == "missing"
    assert "kaggle.com/settings" in finding.text
    assert server.calls == []


def test_the_places_in_their_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret_file(home / "kaggle.json", json.dumps({"username": USER, "key": KEY}))
    assert find_credentials().source == str(home / "kaggle.json")
    monkeypatch.setenv("KAGGLE_USERNAME", "bob")
    assert find_credentials().username == "bob"
    secret_file(home / "access_token", TOKEN)
    assert find_credentials().source == str(home / "access_token")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "another")
    assert find_credentials().token == "another"
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(home / "access_token"))
    assert find_credentials().token == TOKEN
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (home / "access_token").unlink()
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home.parent))
    with pytest.raises(KaggleError, match="no credentials"):
        find_credentials()


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things there")
@pytest.mark.parametrize("name", ["access_token", "kaggle.json"])
def test_a_file_that_others_can_read_is_warned_of(name: str, home: Path) -> None:
    text = TOKEN if name == "access_token" else json.dumps({"username": USER, "key": KEY})
    secret_file(home / name, text, 0o644)
    finding = check_credentials()
    assert finding.state == "found"
    assert finding.warning == (
        f"{home / name} is readable by others on this machine: chmod 600 {home / name}"
    )
    (home / name).chmod(0o600)
    assert check_credentials().warning is None


def test_a_token_is_tried_only_if_asked(home: Path, server: Server) -> None:
    secret_file(home / "access_token", TOKEN)
    assert check_credentials().state == "found"
    assert server.calls == []
    finding = check_credentials(ask_name)
    assert (finding.state, finding.text) == ("works", f"{home / 'access_token'} works, as {USER}")


def test_what_kaggle_does_not_know_is_refused(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file(home / "kaggle.json", json.dumps({"username": USER, "key": KEY}))
    assert check_credentials(ask_name).state == "works"
    monkeypatch.setenv("KAGGLE_KEY", "old-key")
    finding = check_credentials(ask_name)
    assert finding.state == "refused"
    assert "old-key" not in repr((finding, find_credentials()))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "expired")
    assert check_credentials(ask_name).state == "refused"


def test_a_server_that_is_away_is_unreachable(home: Path, server: Server) -> None:
    secret_file(home / "access_token", TOKEN)
    server.faults["IntrospectToken"] = ["500"] * 9
    assert check_credentials(ask_name).state == "unreachable"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("kaggle.json", "[" * 100_000, "is not valid JSON"),
        ("kaggle.json", json.dumps({"username": USER, "key": 5}), "holds no username and key"),
        ("kaggle.json", json.dumps({"username": USER, "key": "a b"}), "what is no credential"),
        ("access_token", f"{TOKEN}\n{TOKEN}", "is no credential"),
    ],
)
def test_what_cannot_be_credentials_is_said_of_its_file(
    name: str, text: str, found: str, home: Path
) -> None:
    secret_file(home / name, text)
    finding = check_credentials()
    assert finding.state == "missing"
    assert finding.text.startswith(f"{home / name}: ")
    assert found in finding.text
    assert TOKEN not in finding.text


def test_a_damaged_file_is_named_without_what_it_holds(home: Path) -> None:
    secret_file(home / "kaggle.json", '{"key": "half-a-secr')
    with pytest.raises(KaggleError, match=r"kaggle\.json: is not valid JSON") as raised:
        find_credentials()
    assert "secr;" not in str(raised.value)
    assert raised.value.__context__ is None or "half" not in str(raised.value)


def test_nobody_home_is_told_so(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the discard port: nobody listens
    pauses: list[float] = []
    kaggle = connect(pauses.append, (1.0, 1.0))
    with pytest.raises(KaggleError, match="cannot be reached; check the network"):
        kaggle.limits("leaves")
    assert len(pauses) == 5
