"""The command line: the only place that prints an error and chooses an exit code.

0 done · 2 the user can mend it · 1 a bug · 3 finished, but degraded · 130 interrupted.
"""

import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from harness.cli.verbs import app
from harness.display import complain, one_line
from harness.errors import as_user_error

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(arguments), prog_name="harness", standalone_mode=False)
        if code == INTERRUPTED:  # typer makes this of a KeyboardInterrupt
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except TyperException as error:
        complain(f"error: {one_line(error.format_message())} (see --help)")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted: what was finished is kept; the same command goes on")
        return INTERRUPTED
    except SystemExit:
        return 0  # typer's, where the reader of our output went away, as `| head` does
    except Exception as error:
        if "--verbose" in arguments:
            traceback.print_exc()
        if mendable := as_user_error(error):
            complain(f"error: {one_line(mendable)}")
            return 2
        with tempfile.NamedTemporaryFile(
            "w", prefix="harness-", suffix=".log", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"harness {' '.join(arguments)}\n\n{traceback.format_exc()}")
        complain(f"bug: {type(error).__name__}: {one_line(error)} (traceback in {file.name})")
        return 1


def silence_libraries() -> None:
    """Keep libraries' warnings from the user, here and in the processes that this one starts.

    They address programmers. Python's own ``-W`` and PYTHONWARNINGS bring them back.
    """
    if not sys.warnoptions:
        warnings.showwarning = lambda *args, **options: None
        os.environ["PYTHONWARNINGS"] = "ignore"
        logging.disable(logging.WARNING)
