"""The waiting process: it ends what does not end by itself, and is noticed when it dies."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.submit.guard import KILLED, guard, remove_temporaries

SOON, LATER = 0.0, 60.0


def test_a_finished_worker_gives_its_exit_code() -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    assert guard(command, until=time.monotonic() + LATER) == 3


def test_a_hung_worker_is_ended() -> None:
    # waits for its standard input, which stays open as long as the guard lives
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    assert guard(command, until=time.monotonic() + SOON) == KILLED


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_what_a_hung_worker_started_is_ended_too() -> None:
    # the grandchild inherits the captured output: it is at its end only when both are dead
    code = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'],"
        " stdin=subprocess.PIPE); "
        "sys.stdin.read()"
    )
    outer = (
        "import sys, time; from harness.submit.guard import guard; "
        f"print(guard([sys.executable, '-c', {code!r}], until=time.monotonic() + 0.5))"
    )
    done = subprocess.run(
        [sys.executable, "-c", outer], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(KILLED)


def test_a_worker_dies_with_its_parent() -> None:
    code = (
        "from harness.submit.guard import die_with_parent; import threading; "
        "die_with_parent(); threading.Event().wait()"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert worker.stdin is not None
    worker.stdin.close()  # as when the parent is gone
    assert worker.wait(timeout=60) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_the_worker_forks_does_not_wait_for_standard_input() -> None:
    # multiprocessing closes sys.stdin in what it forks: nobody may hold a lock of it by then
    code = (
        "import multiprocessing as m; from harness.submit.guard import die_with_parent; "
        "die_with_parent(); "
        "child = m.get_context('fork').Process(target=print, args=('forked',)); "
        "child.start(); child.join(30); child.kill(); print(child.exitcode, flush=True)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"forked\n"
        assert worker.stdout.readline() == b"0\n"


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_asked_to_end_it_ends_the_worker_at_once() -> None:
    # whoever asks is the worker: it has surely begun
    code = "import os, signal, sys; os.kill(os.getppid(), signal.SIGINT); sys.stdin.read()"
    with pytest.raises(KeyboardInterrupt):
        guard([sys.executable, "-c", code], until=time.monotonic() + LATER)
    with pytest.raises(ChildProcessError):  # none is left, and none waits to be reaped
        os.waitpid(-1, os.WNOHANG)


def test_only_the_files_own_temporaries_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for name in ("a.csv", ".a.csv.77.tmp", "b.csv", ".b.csv.77.tmp"):
        (tmp_path / name).write_text("", encoding="utf-8")
    remove_temporaries(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.csv.77.tmp", "a.csv", "b.csv"]
