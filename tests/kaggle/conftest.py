"""The contract server, and the seam to it through the unpatched official client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_server import KEY, USER, serving
from contract_server import Kaggle as Server

from harness.kaggle.seam import Kaggle, connect
from harness.workspace.ledger import Ledger

TIMEOUT = (5.0, 0.15)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """Kaggle on a free port of 127.0.0.1; the environment leads the official client there."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR", "no_proxy", "NO_PROXY", "VERBOSE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    with serving() as server:
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        yield server


@pytest.fixture
def pauses() -> list[float]:
    """Every pause that was asked for; none is made."""
    return []


@pytest.fixture
def kaggle(server: Server, pauses: list[float]) -> Kaggle:
    """The seam, which sleeps by noting it and waits for answers a moment only."""
    return connect(pauses.append, TIMEOUT)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "board.sqlite")
