"""The command line: the only place that prints an error and chooses an exit code.

0 done · 2 the user can mend it · 1 a bug · 3 finished, but degraded · 130 interrupted.
"""

import io
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import typer
from typer.exceptions import TyperException

from harness.cli.steps import with_root
from harness.cli.verbs import app
from harness.display import complain, harmless_lines, one_line
from harness.errors import Told, as_user_error

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = typer.main.get_command(app)
    mend_streams()
    try:
        code = command.main(args=list(arguments), prog_name="harness", standalone_mode=False)
        if code == INTERRUPTED:  # typer makes this of a KeyboardInterrupt
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except TyperException as error:
        complain(f"error: {one_line(error.format_message())} (see --help)")
        return 2
    except SystemExit:
        return 0  # typer's, where the reader of our output went away, as `| head` does
    except (KeyboardInterrupt, Exception) as error:
        cause = error.__cause__ if isinstance(error, typer.Abort) else error
        if not isinstance(cause, Exception):
            complain("interrupted: what was finished is kept; the same command goes on")
            return INTERRUPTED
        # an EOFError of a reader's is no wish to stop, as typer has it
        return _told(cause, arguments)


def _told(error: Exception, arguments: Sequence[str]) -> int:
    """Say what went wrong; the exit code."""
    text = "".join(traceback.format_exception(error))
    if "--verbose" in arguments:
        complain(harmless_lines(text))
    if mendable := as_user_error(error):
        root = next((after for one, after in pairwise(arguments) if one == "-C"), ".")
        if not isinstance(mendable, Told):
            complain(f"error: {with_root(one_line(mendable), Path(root))}")
        return 2
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="harness-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(f"harness {' '.join(arguments)}\n\n{text}")
        where = f"traceback in {file.name}"
    except OSError:
        complain(text)
        where = "its traceback is above: no folder for temporary files can be written to"
    complain(f"bug: {type(error).__name__}: {one_line(error)} ({where})")
    return 1


def mend_streams() -> None:
    """Make standard streams that are closed lead nowhere, and output one that takes any letter.

    A file that is opened later would else take a closed stream's number, and get what libraries
    write to it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # an old terminal's letters lack the arrows
        sys.stdout.reconfigure(errors="backslashreplace")


def silence_libraries() -> None:
    """Keep libraries' warnings from the user, here and in the processes that this one starts.

    They address programmers. Python's own ``-W`` and PYTHONWARNINGS bring them back.
    """
    if not sys.warnoptions:
        warnings.showwarning = lambda *args, **options: None
        os.environ["PYTHONWARNINGS"] = "ignore"
        logging.disable(logging.WARNING)
