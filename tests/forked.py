"""Commands in processes of their own, forked from one that has paid for the import of torch."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.cli import main

FORKING = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("forkserver" if FORKING else "spawn")
CONTEXT.set_forkserver_preload(["harness.cli.training", "harness.train.jobs"])


def start(arguments: Sequence[str], said: Path) -> BaseProcess:
    """Start a command of the harness, which says all that it says in that file."""
    process: BaseProcess = CONTEXT.Process(target=_run, args=(arguments, said))
    process.start()
    return process


def _run(arguments: Sequence[str], said: Path) -> None:
    with said.open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    sys.exit(main([*arguments]))
