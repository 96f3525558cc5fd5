"""Stopping on request: Ctrl-C and SIGTERM are noted, and obeyed where nothing is lost."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

Stopping = Callable[[], bool]


class Stopped(Exception):
    """The process was asked to stop, and what it may lose is on disk."""


@contextmanager
def noting_signals() -> Iterator[Stopping]:
    """A function that says whether the process was asked to stop.

    The second Ctrl-C is a KeyboardInterrupt at once. Machines that are about to be taken away
    send SIGTERM first, which is treated like Ctrl-C.
    """
    asked = False

    def note(number: int, frame: Any) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    if current_thread() is not main_thread():  # only there may handlers be set
        yield lambda: asked
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
