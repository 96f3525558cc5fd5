"""Several processes on a PostgreSQL server, which is started here where there is one."""

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState
from searching import formula_tools, open_setup, worker

from harness.tune import search, study
from harness.tune.report import rows_of
from harness.tune.search import Search
from harness.tune.study import open_study

USERS = ("postgres", "nobody")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server with a socket of its own and no network."""
    pytest.importorskip("psycopg")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("no PostgreSQL here")
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        user = None
        if os.name == "posix" and os.getuid() == 0:  # the server refuses to run as root
            user = next((one for one in USERS if _is_user(one)), None)
            if user is None:
                pytest.skip("nobody to run the server as")
            shutil.chown(folder, user)

        def command(*arguments: str) -> None:
            subprocess.run(
                arguments, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120
            )

        command("initdb", "-D", f"{folder}/db", "-U", "harness", "-A", "trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        command("pg_ctl", "-D", f"{folder}/db", "-l", f"{folder}/log", "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://harness@/postgres?host={folder}"
        finally:
            command("pg_ctl", "-D", f"{folder}/db", "-m", "immediate", "-w", "stop")


def _is_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@pytest.mark.slow
def test_three_processes_on_one_server(
    workspace: Path, harness: Callable[..., int], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is killed in the middle of a trial; every point is finished once."""
    assert harness("fold") == 0
    monkeypatch.setenv("STUDY", server)
    options = {"method": "grid", "steps": 3, "pruner": "none", "storage": "$STUDY"}
    with worker(workspace, options, hang=2) as dying:
        assert dying.stdout
        assert dying.stdout.readline() == "hanging\n"
        with worker(workspace, options) as other, worker(workspace, options) as third:
            dying.kill()
            assert (other.wait(), third.wait()) == (0, 0)
    setup = open_setup(workspace, **options)
    done = [row for row in rows_of(setup, open_study(setup)) if row.state == "complete"]
    points = Counter(tuple(sorted(row.values.items())) for row in done)
    assert len(points) == 9
    assert set(points.values()) == {1}


@pytest.mark.slow
def test_what_died_on_another_machine_is_tried_again_once(
    workspace: Path, harness: Callable[..., int], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was the last trial of all, so that the survivor has nothing else to begin."""
    assert harness("fold") == 0
    options = {"method": "grid", "steps": 2, "pruner": "none", "storage": server}
    with worker(workspace, options, hang=4, machine="elsewhere") as dying:
        assert dying.stdout
        assert dying.stdout.readline() == "hanging\n"
        dying.kill()
    monkeypatch.setattr(study, "HEARTBEAT", 1)
    monkeypatch.setattr(study, "GRACE", 2)
    monkeypatch.setattr(search, "ELSEWHERE", 0.2)
    setup = open_setup(workspace, **options)
    found = open_study(setup)
    end = time.monotonic() + 60
    tools = formula_tools(setup)
    assert Search(setup, found, tools, seconds=lambda: end - time.monotonic()).run()
    trials = found.get_trials(deepcopy=False)
    (died,) = [trial for trial in trials if trial.state == TrialState.FAIL]
    again = [trial for trial in trials if trial.params == died.params]
    assert [trial.state for trial in again] == [TrialState.FAIL, TrialState.COMPLETE]
    assert len(trials) == 5
