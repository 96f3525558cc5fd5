"""Asked to stop: noted once, and told to the processes that help."""

import signal
import subprocess
from pathlib import Path

import pytest

from harness.cli.training import train
from harness.display import Display
from harness.train.interrupt import noting_signals
from harness.train.jobs import Wish
from harness.workspace import Workspace


def test_only_a_second_ctrl_c_is_obeyed_at_once() -> None:
    with noting_signals() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # of the process that this one helps
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_helping_processes_are_told_and_waited_for(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    happened = []

    class Helper:
        stdout = ("tuned: fold 2/3\n", "next: python -m harness stack\n")
        stderr = ("warning: slow\n", "interrupted: what was finished is kept\n")

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def terminate(self) -> None:
            happened.append("told")

        def wait(self) -> None:
            happened.append("waited")

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Helper)
    monkeypatch.setattr("harness.train.jobs.train", interrupted)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    with pytest.raises(KeyboardInterrupt):
        train(Workspace.open(workspace), Display(), Wish(), 2)
    assert happened == ["told", "waited"]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("tuned: fold 2/3\n", "warning: slow\n")
