"""`kill -9` of a process right before its n-th change of a file: the same place in every run."""

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forked import CONTEXT

from harness.cli import main
from harness.data.corrections import Correction, append_corrections


def killed(at: int, function: Callable[..., Any], *arguments: Any) -> bool:
    """Call the function in a process that is killed before its change number ``at``, from 1 on.

    Return whether it came so far; else it must have ended with success.
    """
    process = CONTEXT.Process(target=_run, args=(at, None, function, arguments))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return bool(process.exitcode)


def command(arguments: Sequence[str], said: Path, at: int = 0) -> tuple[int, int]:
    """Run a command of the harness, killed before its change number ``at`` unless that is 0.

    Return (exit code, changes that it made); what it says is written to ``said``.
    """
    process = CONTEXT.Process(target=_run, args=(at, said, main, ([*arguments],)))
    process.start()
    process.join()
    counted = said.with_suffix(".changes")
    changes = int(counted.read_text()) if counted.exists() else 0
    counted.unlink(missing_ok=True)
    assert process.exitcode is not None
    return process.exitcode, changes


def _run(
    at: int, said: Path | None, function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    sys.dont_write_bytecode = True
    count, counting = itertools.count(1), [0]

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if _changes(event, details):
            counting[0] = next(count)
            if counting[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

    with contextlib.ExitStack() as stack:
        if said:
            stream = stack.enter_context(said.open("wb"))
            for number in (1, 2):
                os.dup2(stream.fileno(), number)
        sys.addaudithook(watch)
        code = function(*arguments)
        if said:
            said.with_suffix(".changes").write_text(str(counting[0]))
    sys.exit(code if function is main else 0)


def _changes(event: str, details: tuple[Any, ...]) -> bool:
    """Whether an audited event changes files; locks hold nothing, and need not be kept."""
    match event:
        case "open":
            path, _, flags = details
            name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
            return bool(flags & (os.O_WRONLY | os.O_RDWR)) and not name.endswith(
                (".lock", os.devnull)
            )
        case "os.mkdir":
            return not os.path.isdir(details[0])
        case "os.remove":
            return os.path.lexists(details[0]) or details[1] != -1  # below another folder
    return event in ("os.rename", "os.rmdir")


def append_many(path: Path, who: str) -> None:
    """Write 1,000 corrections, one by one."""
    for number in range(1000):
        append_corrections(path, Correction("2026-01-01", f"{who}{number}", "keep"))
