"""The real submission, run as the competition will run it: more rows, a slower machine, no network.

It happens in a workspace of its own under .cache/, whose test images are this one's, repeated.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd
from rich import box
from rich.table import Table

from harness.competition import FILE_NAME
from harness.data.frame import write_frame
from harness.data.locate import locate
from harness.data.sample import read_test_ids
from harness.display import relay
from harness.errors import ConfigError
from harness.files import to_write
from harness.offline import REFUSAL
from harness.patterns import fill
from harness.submit.prior import read_rows
from harness.workspace import Workspace
from harness.workspace.submissions import Sidecar, read_sidecar

NAME = "rehearsal"
SLICE = 0.05
"""Seconds of a throttled process's turns: short against any stage, long against a switch."""

_OFFLINE = f"""{REFUSAL}
import runpy, sys
sys.argv[0] = "harness"
runpy.run_module("harness", run_name="__main__")
"""


@dataclass(frozen=True)
class Rehearsal:
    """What was measured from outside the process, and what the process noted.

    ``peak_bytes`` is the largest process's memory; None where the system does not tell.
    """

    seconds: float
    budget: float
    code: int
    peak_bytes: int | None
    rows: int
    sidecar: Sidecar | None

    def failures(self, memory_bytes: int | None) -> list[str]:
        """What would have failed the submission, and what to change; empty if nothing."""
        found = []
        if self.seconds > self.budget:
            found.append(
                f"late: {self.seconds:.1f} s of {self.budget:g} s; this is a fault of the harness"
            )
        if self.code not in (0, 3) or self.sidecar is None:
            found.append(f"no submission (exit code {self.code}); see its message above")
        if memory_bytes is not None and (self.peak_bytes or 0) > memory_bytes:
            found.append(
                f"memory: {(self.peak_bytes or 0) / 2**30:.1f} GiB of "
                f"{memory_bytes / 2**30:.1f}; leave out the largest member"
            )
        return found


def rehearse(
    workspace: Workspace,
    *,
    rows: int,
    budget: float,
    slowdown: float = 1.0,
    cores: int | None = None,
    offline: bool = True,
    say: Callable[[str], None] = print,
) -> Rehearsal:
    """Run ``submit`` in a fresh process for ``rows`` test rows within ``budget`` seconds.

    ``say`` gets its lines, without the next step: its file is gone by then.
    ``slowdown`` (1 or more) lets the processes run only that fraction of the time, ``cores`` on so
    few processor cores: both need Linux.
    """
    if slowdown > 1 and not Path("/proc/self/task").exists():
        raise ConfigError("--slowdown", "needs Linux", "leave it out here")
    folder = to_write(workspace.cache / NAME)
    shutil.rmtree(folder, ignore_errors=True)
    _lay_out(workspace, folder, rows)
    start = ["-c", _OFFLINE] if offline else ["-m", "harness"]
    command = [sys.executable, *start, "submit", "--budget", f"{budget:g}", "--name", NAME]
    command += ["-C", str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"} if offline else dict(os.environ)
    before = time.monotonic()
    with _Cores(cores):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, errors="replace"
        )
    told = relay(process.stdout, say)
    try:
        _wait(process, slowdown)
        seconds = time.monotonic() - before
    finally:
        process.kill()
        process.wait()
        told.join(timeout=5)  # its last lines, too
        if process.stdout:
            process.stdout.close()
    path = folder / "submissions" / f"{NAME}.csv"
    sidecar = read_sidecar(path) if path.exists() else None
    found = Rehearsal(seconds, budget, process.returncode, _peak_bytes(), rows, sidecar)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def rehearsal_table(found: Rehearsal) -> Table:
    """Seconds by stage, predicted beside used, then the whole process seen from outside."""
    table = Table(
        title=f"rehearsal of {found.rows} rows in {found.budget:g} s",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("stage")
    table.add_column("predicted s", justify="right")
    table.add_column("used s", justify="right")
    sidecar = found.sidecar
    if sidecar is not None:
        for stage, seconds in sidecar.spent.items():
            table.add_row(stage, f"{sidecar.predicted.get(stage, 0):.1f}", f"{seconds:.1f}")
    predicted = sum(sidecar.predicted.values()) if sidecar is not None else 0.0
    table.add_section()
    table.add_row("all, from outside", f"{predicted:.1f}", f"{found.seconds:.1f}")
    if found.peak_bytes is not None:
        table.add_row("peak memory", "", f"{found.peak_bytes / 2**30:.1f} GiB")
    return table


def _lay_out(workspace: Workspace, folder: Path, rows: int) -> None:
    """A workspace with this one's models, whose test rows are repeated up to ``rows``."""
    folder.mkdir(parents=True)
    lay_out_data(workspace, folder, rows)
    shutil.copy(workspace.root / FILE_NAME, folder / FILE_NAME)
    os.symlink(workspace.models.resolve(), folder / "models", target_is_directory=True)


def lay_out_data(workspace: Workspace, folder: Path, rows: int, *, other_ids: bool = False) -> None:
    """In ``folder``, the test tables and images of this workspace, repeated up to ``rows``.

    ``other_ids``: none of them has the id that it has here.
    """
    data, root = workspace.competition.data, workspace.root
    tables = [name for name in (data.test, data.sample_submission) if name]
    for name in (*tables, *data.patterns_for_test):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ConfigError(
                f"{FILE_NAME} [data]",
                f"{name!r} lies outside of the workspace, so that it cannot be laid out anew",
                "put it into the workspace",
            )
    if not tables:
        raise ConfigError(f"{FILE_NAME} [data]", "names no test rows", "add 'test'")
    for name in tables:
        _repeat_table(root / name, folder / name, data.id, rows, other_ids)
    ids = read_test_ids(workspace.competition, root).tolist()
    found = dict(zip(ids, locate(data.patterns_for_test, root, ids), strict=True))
    for id_, repeated in islice(_repeated(ids, other_ids), rows):
        if (source := found[id_]) is None:  # one that is missing is missing there, too
            continue
        for pattern in data.patterns_for_test:
            if source == root / fill(pattern, id_):
                copy = folder / fill(pattern, repeated)
                _link(source, to_write(copy))


def _repeat_table(source: Path, copy: Path, id_column: str, rows: int, other_ids: bool) -> None:
    header, given = read_rows(source)
    place = header.index(id_column) if id_column in header else 0
    by_id = {row[place]: row for row in given}
    repeated = [
        [*by_id[id_][:place], name, *by_id[id_][place + 1 :]]
        for id_, name in islice(_repeated(list(by_id), other_ids), rows)
    ]
    write_frame(to_write(copy), pd.DataFrame(repeated, columns=header, dtype=object))


def _repeated(ids: Sequence[str], other_ids: bool = False) -> Iterator[tuple[str, str]]:
    """(an id, the id under which it is repeated), without end.

    The first round has its own ids, unless ``other_ids``.
    """
    if not other_ids:
        yield from ((id_, id_) for id_ in ids)
    turn = 1
    while True:
        for id_ in ids:
            folder, slash, name = id_.rpartition("/")
            yield id_, f"{folder}{slash}{turn}~{name}"
        turn += 1


def _link(source: Path, copy: Path) -> None:
    try:
        os.link(source, copy)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, copy)


class _Cores:
    """While it lasts, this process and those it starts use only so many cores (Linux)."""

    def __init__(self, cores: int | None) -> None:
        if cores is not None and not hasattr(os, "sched_setaffinity"):
            raise ConfigError("--cores", "needs Linux", "leave it out here")
        self.cores = cores

    def __enter__(self) -> None:
        if self.cores is not None:
            self.before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, set(sorted(self.before)[: self.cores]))

    def __exit__(self, *_: object) -> None:
        if self.cores is not None:
            os.sched_setaffinity(0, self.before)


def _wait(process: subprocess.Popen[str], slowdown: float) -> None:
    """Wait for the process; throttled, it and what it started run 1 / slowdown of the time."""
    if slowdown <= 1:
        process.wait()
        return
    while process.poll() is None:
        _signal(process.pid, signal.SIGSTOP)
        time.sleep(SLICE * (1 - 1 / slowdown))
        _signal(process.pid, signal.SIGCONT)
        try:
            process.wait(SLICE / slowdown)
        except subprocess.TimeoutExpired:
            continue


def _signal(pid: int, number: int) -> None:
    """To the process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        os.kill(pid, number)
    except (OSError, ProcessLookupError):
        return
    for child in children:
        _signal(int(child), number)


def _peak_bytes() -> int | None:
    """The most memory of any process that this one has waited for, and theirs."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
