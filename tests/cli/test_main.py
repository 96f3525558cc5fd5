"""The process: what it says when it is asked to end, when nobody reads it, and of its libraries."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.__main__ import run
from harness.cli import main, steps


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
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # which it sets, for the tests that follow too
    assert run() == 130
    assert capsys.readouterr().err.startswith("interrupted")


WARNING = (
    "import warnings, logging; warnings.warn('odd'); logging.getLogger('torch').warning('odd')"
)


def test_no_warning_of_a_library_is_shown() -> None:
    code = f"""
import subprocess, sys
import harness.cli
from harness.__main__ import run
def main():
    {WARNING}
    child = "import warnings; warnings.warn('odd')"
    return subprocess.run([sys.executable, "-c", child]).returncode
harness.cli.main = main
sys.exit(run())
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("arguments", [["data"], ["board", "--json"], ["--help"]])
def test_nothing_is_said_where_the_reader_went_away(workspace: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "harness", *arguments]
    done = subprocess.run(command, cwd=workspace, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_work_goes_on_where_the_reader_went_away(workspace: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "harness", "fold"], cwd=workspace, stdout=writer)
    os.close(writer)
    assert done.returncode == 0
    assert (workspace / "folds/folds.csv").exists()


def test_without_a_verb_it_shows_the_verbs_and_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    verbs = ["init", "data", "doctor", "fold", "train", "stack", "cost", "submit", "review"]
    places = [said.out.index(f"│ {verb} ") for verb in verbs]
    assert places == sorted(places)
    assert "Example: harness init" in said.out


def test_suggested_commands_are_quoted_for_the_shell(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steps.command("fold", Path("my data")) == "python -m harness fold -C 'my data'"
    moved = shutil.move(workspace, workspace.parent / "it's mine")
    assert main(["data", "-C", str(moved)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("it'\"'\"'s mine'")
