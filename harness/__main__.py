"""The process of `python -m harness`, or `harness`: what asks it to end, and its exit code."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the current folder: a typer.py in a stranger's workspace would run

import os
import signal
from contextlib import suppress

INTERRUPTED = 130


def run() -> int:
    """Run one command and return its exit code; SIGTERM is treated like Ctrl-C.

    Output that nobody takes changes no exit code.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # whatever Python this process starts: not from there, too
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: no file may get its number, to which a library might write
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    code = _run()
    from harness.display import flush_output

    flush_output()
    return code


def _run() -> int:
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        from harness.cli import main, silence_libraries  # takes long enough to be interrupted

        silence_libraries()
        return main()
    except KeyboardInterrupt:
        with suppress(OSError):
            print("interrupted: the same command goes on", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
