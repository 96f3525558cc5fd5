"""Keeping the promise from outside: a process that only waits ends the one that computes.

A batch that hangs in native code, a crash there, or memory running out cannot be answered from
within. Whoever waits here does nothing else, so it cannot be held up.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.files import to_write

MOST_ENDING = 0.2
"""Seconds that are waited for a worker that was ended to be gone."""
KILLED = -9
"""``guard``'s answer when the worker was ended because the time was up."""


def guard(command: Sequence[str], *, until: float) -> int:
    """Run ``command`` no longer than ``until`` on time.monotonic's clock; its exit code.

    KILLED if it had to be ended; it and what it started are gone then, as they are when this
    process is interrupted. Another negative number is the signal that it died of. When this
    process dies first, the worker's standard input ends, by which it knows (``die_with_parent``).
    OSError if no process can be started.
    """
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        return worker.wait(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return KILLED
    finally:
        _end(worker)


def die_with_parent() -> None:
    """End this process, at once and without cleaning up, when its standard input ends.

    Files are replaced atomically, so there is nothing to clean up.
    """

    standard_input = sys.stdin.fileno()

    def watch() -> None:
        # not through sys.stdin: its lock would be held in whatever a library forks, which then
        # waits for it for ever
        while os.read(standard_input, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def remove_temporaries(path: Path) -> None:
    """Delete what a killed writer of ``path`` left beside it (harness.files.replacing's names)."""
    for temporary in to_write(path).parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            temporary.unlink()


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        if os.name == "posix":
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            worker.kill()
        with suppress(subprocess.TimeoutExpired):  # a disk may hold it up: it writes no more
            worker.wait(MOST_ENDING)
    if worker.stdin:
        worker.stdin.close()
