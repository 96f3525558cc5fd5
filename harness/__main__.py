"""The process of `python -m harness`, or `harness`: its silence, its signals, its exit code."""

import logging
import os
import signal
import sys
import warnings

INTERRUPTED = 130


def silence_libraries() -> None:
    """Keep libraries' warnings from the user, here and in the processes that this one starts.

    They address programmers. Python's own ``-W`` and PYTHONWARNINGS bring them back.
    """
    if not sys.warnoptions:
        warnings.showwarning = lambda *args, **options: None
        os.environ["PYTHONWARNINGS"] = "ignore"
        logging.disable(logging.WARNING)


def run() -> int:
    """Run one command and return its exit code; SIGTERM is treated like Ctrl-C."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        silence_libraries()
        from harness.cli import main  # its imports take long enough to be interrupted

        return main()
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
