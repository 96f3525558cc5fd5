"""Several processes in one workspace: locks that die with the process that holds them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.files import to_write


@contextmanager
def trying(path: Path) -> Iterator[bool]:
    """Whether the lock at ``path`` could be had; it is held as long as the context.

    The operating system takes a lock from a dead process, so none is ever left behind.
    """
    lock = FileLock(to_write(path))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock at ``path``, waiting for it if need be."""
    with FileLock(to_write(path), poll_interval=0.2):
        yield
