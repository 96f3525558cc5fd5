"""Budgets under attack: locked ledgers, damaged notes, costs that lie, many rows, closed pipes."""

import csv
import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board.test_tables import ENSEMBLE
from hypothesis import given
from hypothesis import strategies as st
from submit.test_plan import counts, drive, plan_of
from tiny import CLASSES, TOML, write_table

from harness import display
from harness.cli import main
from harness.competition import Competition, load_competition
from harness.errors import ConfigError
from harness.predict.plan import Plan
from harness.stack.plans import write_plans
from harness.submit import budgeted, guard, prior
from harness.submit.budgeted import LEAVE, Promised, plans_file, promise
from harness.submit.plan import Follower, Load, Stop
from harness.submit.prior import prior_submission
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble, write_ensemble
from harness.workspace.ledger import Ledger
from harness.workspace.submissions import read_sidecar, write_sidecar

ROWS = 9
NOTHING = [sys.executable, "-S", "-c", "raise SystemExit(3)"]
"""A predicting process that finds no time."""


def lay_out(root: Path, plan: Plan) -> tuple[Workspace, Ensemble]:
    """A workspace that can promise: tables, an ensemble and a plan, without images or models."""
    (root / "data").mkdir(parents=True)
    (root / "competition.toml").write_text(TOML, encoding="utf-8")
    rows = [[f"{i:03d}", *[0.3] * 3] for i in range(ROWS)]
    write_table(root / "data/sample_submission.csv", ["id", *CLASSES], rows)
    workspace = Workspace.open(root)
    metric = workspace.competition.metric
    ensemble = replace(
        ENSEMBLE,
        metric=metric.name,
        metric_digest=metric.digest,
        targets=CLASSES,
        blend={"members": len(ENSEMBLE.members), "targets": len(CLASSES)},
        prior=(0.5, 0.25, 0.25),
        runs=("",) * len(ENSEMBLE.members),
        task="multiclass",
    )
    write_ensemble(workspace.models / "ensemble", ensemble)
    write_plans(plans_file(workspace), ensemble, [plan])
    return workspace, ensemble


@pytest.fixture
def promised(tmp_path: Path) -> tuple[Workspace, Ensemble]:
    return lay_out(tmp_path / "workspace", plan_of((1.0,)))


class Clock:
    """A clock that shows the next of these times whenever it is read, then goes on by nothing."""

    def __init__(self, *times: float) -> None:
        self.times = list(times)

    def __call__(self) -> float:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def keep(
    promised: tuple[Workspace, Ensemble],
    clock: Callable[[], float] = lambda: 0.5,
    budget: float = 8.0,
    command: Callable[[Path, str, float], Sequence[str]] = lambda *_: NOTHING,
) -> Promised:
    return promise(*promised, name="x", budget=budget, started=0.0, clock=clock, command=command)


def submit(workspace: Workspace) -> int:
    """The verb, with a budget that lasts as long as these tests' process."""
    return main(["submit", "--budget", "1000h", "--name", "x", "-C", str(workspace.root)])


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The predicting process is ended at once."""
    monkeypatch.setattr(budgeted, "guard", lambda command, until: guard.KILLED)


# --- point 16: what lies about holds nobody up


def test_a_locked_ledger_is_not_waited_for(
    promised: tuple[Workspace, Ensemble],
    ended: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace, _ = promised
    assert submit(workspace) == 3
    (entry,) = Ledger(workspace.board).entries()
    waits: list[float] = []
    connect = sqlite3.connect
    with closing(connect(workspace.board)) as other:
        other.execute("DELETE FROM submission")
        other.execute("COMMIT")
        other.execute("BEGIN EXCLUSIVE")

        def watched(path: Path, timeout: float = 5.0) -> sqlite3.Connection:
            waits.append(timeout)
            return connect(path, timeout=timeout)

        monkeypatch.setattr(sqlite3, "connect", watched)
        assert submit(workspace) == 3
    assert waits == [0]
    assert "not in the ledger yet" in capsys.readouterr().out
    assert Ledger(workspace.board).entries() == []
    assert submit(workspace) == 3  # the next run enters it
    assert Ledger(workspace.board).entries()[0].file_digest == entry.file_digest


@pytest.mark.parametrize(
    "content", [b"\xff" * 40, b"SQLite format 3\0 and no more"], ids=["noise", "cut off"]
)
def test_a_damaged_ledger_changes_no_exit_code(
    promised: tuple[Workspace, Ensemble], ended: None, content: bytes
) -> None:
    workspace, _ = promised
    workspace.submissions.mkdir()
    workspace.board.write_bytes(content)
    assert submit(workspace) == 3
    assert read_sidecar(workspace.submissions / "x.csv") is not None
    assert workspace.board.read_bytes() == content


@pytest.mark.parametrize(
    "note",
    ["", "{}", "[" * 5000, "\ud800", None],
    ids=["empty", "nothing", "deep", "no text", "of another file"],
)
def test_an_old_note_holds_up_no_submission(
    promised: tuple[Workspace, Ensemble], note: str | None
) -> None:
    workspace, _ = promised
    path = workspace.submissions / "x.csv"
    path.parent.mkdir()
    path.write_text("another file\n", encoding="utf-8")
    if note is None:
        keep(promised)
        path.write_text("another file\n", encoding="utf-8")  # its note is sound, and of another
    else:
        path.with_suffix(".json").write_text(note, encoding="utf-8", errors="surrogatepass")
    done = keep(promised)
    assert (done.made, done.died) == (True, False)
    assert read_sidecar(path) == replace(done.sidecar, seconds=0.5)


# --- point 17: while time is left it is tried


def test_costs_of_a_busy_machine_keep_nobody_from_trying(tmp_path: Path, ended: None) -> None:
    plan = plan_of((1.0,))
    promised = lay_out(tmp_path / "w", replace(plan, costs=replace(plan.costs, start=7.4)))
    asked: list[float] = []

    def command(path: Path, inputs: str, deadline: float) -> list[str]:
        asked.append(deadline)
        return NOTHING

    done = keep(promised, budget=8.0, command=command)
    assert done.ending == "the time was up: every row has the prior"
    assert len(asked) == 1
    assert 7 < asked[0] < 8


@pytest.mark.parametrize("lie", [3, 30])
def test_what_was_measured_too_slow_is_tried_and_then_known(lie: float) -> None:
    """Everything takes 1 / lie of what was measured; a budget of the measured start."""
    plan = plan_of((1.0, 0.5), seconds=0.01 * lie, fixed=0.1 * lie)
    costs = replace(plan.costs, start=lie, write=0.05 * lie, decode=((64, 0.001 * lie),))
    follower = Follower(replace(plan, costs=costs), 100, 6.0)
    clock = 1.0
    while not isinstance(action := follower.next(clock), Stop):
        took = 0.1 if isinstance(action, Load) else 0.05
        rows = getattr(action, "rows", None)
        took = took if rows is None else 0.012 * len(rows)
        clock += took
        follower.done(took)
    assert clock < 6
    assert action == Stop(True)
    assert counts(follower)[0] == 100


def test_with_nothing_to_lose_time_is_used() -> None:
    plan = plan_of((1.0,), fixed=1000.0)
    assert drive(Follower(plan, 10, 2.0), start=1.9) == [Load(0), Stop(False)]
    assert drive(Follower(plan, 10, 2.0), start=2.0) == [Stop(False)]


# --- point 18: many rows, and the sentence where nothing can be promised


def test_what_cannot_be_promised_is_refused_before_anything_is_written(
    promised: tuple[Workspace, Ensemble],
) -> None:
    workspace, _ = promised
    slow = Clock(0.4, 1.4)  # a second for the rows: as for a million
    with pytest.raises(
        ConfigError, match=r"^the budget: 2 s cannot be promised: .* needs 2\.8 s or more"
    ):
        keep(promised, slow, budget=2.0)
    assert not workspace.submissions.exists()
    assert keep(promised, Clock(0.4, 1.4, 2.0), budget=3.0).path.exists()


def test_it_is_refused_while_the_rows_are_read(
    promised: tuple[Workspace, Ensemble], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior, "MANY", 4)
    with pytest.raises(ConfigError, match=r"needs 2\.2 s or more"):
        keep(promised, Clock(0.4, 1.0, 1.8, 9.0), budget=2.0)


def test_a_busy_machine_gets_longer_for_the_last_steps(
    promised: tuple[Workspace, Ensemble], ended: None
) -> None:
    """They are not cut down to a share of the budget: what cannot be promised is refused."""
    ends: list[float] = []

    def command(path: Path, inputs: str, deadline: float) -> list[str]:
        ends.append(deadline + LEAVE)
        return NOTHING

    for begun, written in ((0.4, 0.0), (1.2, 0.0), (1.2, 0.6)):
        times = (begun, begun, begun + written, begun + written)
        keep(promised, Clock(*times), budget=4.0, command=command)
        (promised[0].submissions / "x.csv").unlink()
    assert ends == pytest.approx([4 - 0.4, 4 - 0.6, 4 - 1.2])


def test_no_time_at_all_is_said(promised: tuple[Workspace, Ensemble]) -> None:
    done = keep(promised, Clock(0.4, 0.4, 1.9), budget=2.0)
    assert done.ending == "no time was left to predict in: every row has the prior"
    assert not done.died


def text_of(competition: Competition, root: Path) -> tuple[str, int]:
    return prior_submission(competition, root, CLASSES, (0.5, 0.2, 0.3))


@pytest.fixture(scope="module")
def competition(tmp_path_factory: pytest.TempPathFactory) -> tuple[Competition, Path]:
    root = tmp_path_factory.mktemp("prior")
    (root / "data").mkdir()
    (root / "competition.toml").write_text(TOML, encoding="utf-8")
    return load_competition(root / "competition.toml"), root


@given(
    ids=st.lists(st.text(st.sampled_from('ab,0"\n é'), min_size=1), min_size=1, max_size=5),
    place=st.integers(0, 3),
)
def test_the_joined_rows_are_those_that_csv_writes(
    competition: tuple[Competition, Path], ids: list[str], place: int
) -> None:
    settings, root = competition
    header = [*CLASSES[:place], "id", *CLASSES[place:]]
    rows = [[*["0"] * place, id_, *["0"] * (3 - place)] for id_ in ids]
    write_table(root / "data/sample_submission.csv", header, rows)
    with (root / "data/sample_submission.csv").open(newline="", encoding="utf-8") as file:
        given_ids = [row[place] for row in csv.reader(file)][1:]
    cells = ["0.5", "0.2", "0.3"]
    expected = io.StringIO()
    csv.writer(expected, lineterminator="\n").writerows(
        [header, *([*cells[:place], id_, *cells[place:]] for id_ in given_ids)]
    )
    assert text_of(settings, root) == (expected.getvalue(), len(ids))


def test_a_row_without_a_cell_is_told_wherever_it_is(competition: tuple[Competition, Path]) -> None:
    settings, root = competition
    path = root / "data/sample_submission.csv"
    path.write_text("id,ant,bee,cat\na,0,0,0\n\nb,0,0\nc,0,0,0,0\n", encoding="utf-8")
    assert main(["data", "-C", str(root)]) == 2
    with pytest.raises(Exception, match="row 3 has too few cells"):
        text_of(settings, root)


# --- point 19: children that cannot start, output that nobody takes


@pytest.mark.parametrize(
    "error", [BlockingIOError(11, "Resource temporarily unavailable"), OSError(12, "no memory")]
)
def test_a_child_that_cannot_start_leaves_the_file(
    promised: tuple[Workspace, Ensemble],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: OSError,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", refuse)
    workspace, _ = promised
    assert submit(workspace) == 3
    assert "cannot be started" in capsys.readouterr().out
    sidecar = read_sidecar(workspace.submissions / "x.csv")
    assert sidecar is not None
    assert sidecar.rows == ROWS


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
@pytest.mark.filterwarnings("ignore:subprocess")
def test_a_child_that_a_disk_holds_up_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda number, _: started.append(number))
    command = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
    assert guard.guard(command, until=0.0) == guard.KILLED
    os.kill(started[0], signal.SIGKILL)
    os.waitpid(started[0], 0)


def test_a_plan_that_was_completed_stays_so_if_time_runs_out_later(
    promised: tuple[Workspace, Ensemble], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = promised

    def complete(command: Sequence[str], until: float) -> int:
        path = workspace.submissions / "x.csv"
        sidecar = read_sidecar(path)
        assert sidecar is not None
        write_sidecar(path, replace(sidecar, completed=True, member_sets=(("a",),)))
        return guard.KILLED

    monkeypatch.setattr(budgeted, "guard", complete)
    done = keep(promised)
    assert (done.ending, done.died, done.sidecar.completed) == (None, False, True)
    assert keep(promised).made is False


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("redirected", "code"), [(">&-", 0), (">/dev/full 2>&1", 0)])
def test_output_that_nobody_takes_changes_no_exit_code(
    workspace: Path, redirected: str, code: int
) -> None:
    shell = f'"{sys.executable}" -m harness fold {redirected}'
    done = subprocess.run(shell, shell=True, cwd=workspace, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (code, "")
    assert (workspace / "folds/folds.csv").exists()


def test_an_error_that_nobody_reads_keeps_its_exit_code(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "harness", "submit", "--budget", "9s"]
    done = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=writer)
    os.close(writer)
    assert done.returncode == 2


def test_without_standard_output_there_is_nothing_to_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    display.flush_output()


@pytest.mark.skipif(sys.platform == "win32", reason="numbers of open files are POSIX's")
def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    code = (
        "import os, sys; from harness.__main__ import run; import harness.cli; "
        "harness.cli.main = lambda: int(os.dup(0) < 3 or not os.get_inheritable(1)); "
        "os._exit(run())"
    )
    shell = f"\"{sys.executable}\" -c '{code}' <&- >&-"
    assert subprocess.run(shell, shell=True).returncode == 0
