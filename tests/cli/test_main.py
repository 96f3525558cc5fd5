"""The process: asked to end it says so in one line, wherever it is."""

import signal
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from harness.__main__ import run


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["importing", "running"])
def test_asked_to_end(
    number: signal.Signals,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class CommandLine(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if when == "importing":
                signal.raise_signal(number)
            return lambda: signal.raise_signal(number)

    monkeypatch.setitem(sys.modules, "harness.cli", CommandLine("harness.cli"))
    assert run() == 130
    assert capsys.readouterr().err.startswith("interrupted")
