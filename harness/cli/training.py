"""What `train` does: alone, in several processes, or only in words."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from harness.display import Display, complain, relay

if TYPE_CHECKING:
    from rich.table import Table

    from harness.train.hours import Work
    from harness.train.jobs import Wish
    from harness.workspace import Workspace


def train(workspace: "Workspace", display: Display, wish: "Wish", processes: int | None) -> bool:
    """Train what is missing; False if the time was up before it was all done."""
    from harness.train.jobs import begin_anew
    from harness.train.jobs import train as train_models

    begin_anew(workspace, display, wish.retrain)
    count = processes or _gpus()
    with display.alive("train"), ExitStack() as helpers:
        if count > 1:
            helpers.enter_context(_others(count, workspace, wish, display))
        return train_models(workspace, display, wish)


def show_plan(workspace: "Workspace", display: Display, wish: "Wish") -> None:
    """Print what would be trained, with the time and the room that it should take."""
    from harness.train.jobs import plan

    with display.alive("train --dry-run"):
        works = plan(workspace, display, wish)
    if not works:
        display.say("train: all of it is done before, nothing to do")
        return
    display.show(_table(works))


def _table(works: "Sequence[Work]") -> "Table":
    from rich.table import Table

    from harness.durations import format_duration

    table = Table(title="What would be trained")
    for name in ("run", "jobs", "time", "disk"):
        table.add_column(name, justify="left" if name == "run" else "right", overflow="fold")
    for work in works:
        table.add_row(
            work.run, str(work.jobs), format_duration(work.seconds), f"{work.disk / 1e6:.0f} MB"
        )
    total = sum(work.seconds for work in works)
    table.add_section()
    table.add_row(
        "all",
        str(sum(work.jobs for work in works)),
        format_duration(total),
        f"{sum(work.disk for work in works) / 1e6:.0f} MB",
    )
    return table


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


@contextmanager
def _others(count: int, workspace: "Workspace", wish: "Wish", display: Display) -> Iterator[None]:
    """Further processes with the same wish, which share the jobs with this one by locks.

    Each has a GPU to itself, or its share of the cores. What they say is said here.
    """
    import torch

    gpus = _gpus()
    cores = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    torch.set_num_threads(max(1, cores // count))
    started: list[subprocess.Popen[str]] = []
    relays: list[Thread] = []
    for number in range(1, count):
        environment = dict(os.environ)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(number % gpus)
        else:
            environment["OMP_NUM_THREADS"] = str(max(1, cores // count))
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *_arguments(workspace, wish)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
        )
        started.append(process)
        relays += [relay(process.stdout, display.say), relay(process.stderr, complain)]
    try:
        yield
    except BaseException:  # nobody waits for the rest of the work: each keeps what it has
        for process in started:
            process.terminate()
        raise
    finally:
        for process in started:
            process.wait()
        for thread in relays:  # their last lines, too
            thread.join(timeout=5)


def _arguments(workspace: "Workspace", wish: "Wish") -> list[str]:
    """The command line of a process that helps: it deletes nothing and starts no others."""
    arguments = ["train", "-C", str(workspace.root), "--jobs", "1"]
    for name in (*wish.only, *wish.retrain):
        arguments += ["--only", name]
    for fold in wish.folds:
        arguments += ["--fold", str(fold)]
    if wish.seconds is not None:
        arguments += ["--hours", repr(wish.seconds / 3600)]
    if wish.source:
        arguments += ["--from", str(wish.source)]
    return arguments
