"""Fixtures for all tests."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: more threads would fight for them
    os.environ["OMP_NUM_THREADS"] = "1"
from tiny import make_workspace

from harness.cli import main

# the same examples in every run, however slow the machine is
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")
# what a shell starts in the background ignores Ctrl-C, and so would the processes under test
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests allow to run is noted elsewhere than what the user allows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with 30 labelled images and 9 to predict, whose truth is in data/solution.csv."""
    return make_workspace(tmp_path / "workspace")


@pytest.fixture
def harness(workspace: Path) -> Callable[..., int]:
    """Run a command of the harness in the workspace; its exit code."""
    return lambda *arguments: main([*arguments, "-C", str(workspace)])
