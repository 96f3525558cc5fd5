"""Interrupted, killed, on a full disk: training, tune, corrections, wheels and temporary files."""

import os
import resource
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import CONTEXT
from killing import append_many, killed
from searching import formula_tools, open_setup, worker
from tiny import edit

from harness.cli import main
from harness.data.corrections import read_corrections
from harness.display import Display
from harness.errors import ResourceError, UserError
from harness.files import file_digest, write_text
from harness.kaggle.wheels import fetch_wheels
from harness.model import ModelSection
from harness.train.jobs import Wish, train
from harness.train.outputs import Output
from harness.train.run import Run
from harness.tune.report import rows_of
from harness.tune.search import Search
from harness.tune.setup import Setup
from harness.tune.study import open_study
from harness.workspace import Workspace

Harness = Callable[..., int]

PROBE = 'backbone = "test_efficientnet"'


def two_probes(workspace: Path) -> None:
    """Two models that train in no time, with folds."""
    file = workspace / "competition.toml"
    text = file.read_text(encoding="utf-8")
    start, end = text.index("[[model]]"), text.index('[[model]]\nname = "probe"')
    probe = text[end : text.index("[stack]")]
    other = probe.replace('"probe"\nbackbone', '"other"\nbackbone')
    file.write_text(text[:start] + probe + other + text[text.index("[stack]") :], encoding="utf-8")


@pytest.fixture
def trained(workspace: Path, harness: Harness) -> Path:
    two_probes(workspace)
    assert harness("fold") == 0
    assert harness("train") == 0
    return workspace


def test_retraining_goes_on_and_trains_nothing_twice(
    trained: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before a job, before a run takes its place, and before an OOF file is written."""
    done: list[tuple[str, int]] = []
    do, finish = Run.do, Output.finish
    stops = 0

    def counted(run: Run, job: Any) -> None:
        if len(done) == 4 and stops == 0:
            raise KeyboardInterrupt
        done.append((run.model.name, job.number))
        do(run, job)

    def stopped(output: Output, *given: Any) -> float:
        if output.name == ("probe", "other")[stops - 1]:
            raise KeyboardInterrupt
        return finish(output, *given)

    again = ["train", "--retrain", "probe", "--retrain", "other"]
    monkeypatch.setattr(Run, "do", counted)
    monkeypatch.setattr(Output, "finish", stopped)
    for stops in range(3):  # noqa: B007
        assert harness(*again) == 130
    monkeypatch.setattr(Output, "finish", finish)
    assert harness(*again) == 0
    everything = [(run, fold) for run in ("probe", "other") for fold in range(3)]
    assert done == everything
    assert harness(*again) == 0  # and now once more
    assert done == 2 * everything


def test_an_oof_file_never_outlives_its_models(
    trained: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each change while the new run takes the old one's place, and then run again."""
    with monkeypatch.context() as patched:
        patched.setattr(Run, "finish", interrupt)
        assert harness("train", "--retrain", "probe") == 130
    ready, oof = trained.with_name("ready"), trained / "oof/probe.parquet"
    shutil.copytree(trained, ready)
    assert harness("train", "--only", "probe") == 0
    whole = sound(trained)
    for at in range(1, 40):
        shutil.rmtree(trained)
        shutil.copytree(ready, trained)
        cut = killed(at, main, ["train", "--only", "probe", "-C", str(trained)])
        assert not oof.exists() or sound(trained) == whole
        assert harness("train", "--only", "probe") == 0
        assert sound(trained) == whole
        if not cut:
            assert at > 8
            return
    raise AssertionError("it was never through")


def interrupt(*given: Any, **named: Any) -> None:
    raise KeyboardInterrupt


def sound(workspace: Path) -> dict[str, str]:
    """The digests of what a run that is complete consists of."""
    files = [*(workspace / "models/probe").glob("*.json"), workspace / "oof/probe.parquet"]
    files += [*(workspace / "models/probe").glob("fold?.safetensors")]
    return {str(file): file_digest(file) for file in files}


def test_a_run_with_snapshots_is_retrained_as_one(
    workspace: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it begins or takes its place, with its snapshot or before, it goes on."""
    snapshots = 'snapshots = 2\nprecision = "fp32"\nchannels_last = true'
    edit(workspace / "competition.toml", "epochs = 2", f"epochs = 2\n{snapshots}")
    edit(workspace / "competition.toml", "k = 3", "k = 2")
    only, begun, ready = ["train", "--only", "tuned"], *map(workspace.with_name, ("begun", "ready"))
    assert harness("fold") == harness(*only) == 0
    shutil.copytree(workspace, begun)
    with monkeypatch.context() as patched:
        patched.setattr(Run, "finish", interrupt)
        assert harness("train", "--retrain", "tuned") == 130
    shutil.copytree(workspace, ready)
    for before, first, at in (
        (begun, "--retrain", 9),
        (begun, "--retrain", 12),
        (ready, "--only", 20),
    ):
        shutil.rmtree(workspace)
        shutil.copytree(before, workspace)
        assert killed(at, main, ["train", first, "tuned", "-C", str(workspace)])
        assert harness(*only) == 0
        names = sorted(path.name for path in (workspace / "models").iterdir())
        assert names == [".retrained", "tuned", "tuned-c1"]
        assert not list((workspace / "models/.retrained").glob("tuned*"))
        assert sorted(p.stem for p in (workspace / "oof").iterdir()) == ["tuned", "tuned-c1"]


METHODS: dict[str, dict[str, Any]] = {
    "random": {"method": "random", "trials": 8, "pruner": "hyperband"},
    "tpe": {"method": "bayes", "surrogate": "tpe", "trials": 14, "pruner": "halving"},
    "evolution": {"method": "evolution", "trials": 8, "pruner": "median"},
    "grid": {"method": "grid", "steps": 3, "pruner": "median"},
    "zoom": {"method": "zoom", "steps": 3, "rounds": 2, "pruner": "none"},
}


def trials_of(setup: Setup) -> list[tuple[Any, ...]]:
    rows = rows_of(setup, open_study(setup))
    return [(row.number, row.values, row.state, row.loss, row.folds) for row in rows]


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_search_is_the_same_search(
    method: str, harness: Harness, workspace: Path
) -> None:
    """Ctrl-C, a full disk and a lack of time in turn, in every third training."""
    assert harness("fold") == 0
    whole = open_setup(workspace, storage="tune/whole.sqlite", **METHODS[method])
    assert Search(whole, open_study(whole), formula_tools(whole)).run()
    setup = open_setup(workspace, storage="tune/parts.sqlite", **METHODS[method])
    calls = 0

    def disturb(model: ModelSection, fold: int) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise (KeyboardInterrupt, OSError(28, "full"), ResourceError("x", "full", "room"))[
                calls // 3 % 3
            ]

    tools = formula_tools(setup, before=disturb)
    ended = False
    while not ended:
        try:
            ended = Search(setup, open_study(setup), tools).run()
        except (KeyboardInterrupt, OSError, ResourceError):
            assert calls % 3 == 0
    assert calls > 10
    assert trials_of(setup) == trials_of(whole)


def test_a_point_of_the_grid_that_was_killed_thrice_is_not_lost(
    harness: Harness, workspace: Path
) -> None:
    assert harness("fold") == 0
    options = {"method": "grid", "steps": 2, "pruner": "none"}
    for _ in range(3):
        process = worker(workspace, options, hang=2)
        assert process.stdout
        with process.stdout:
            assert process.stdout.readline() == "hanging\n"
        process.kill()
        process.wait()
    setup = open_setup(workspace, **options)
    assert Search(setup, open_study(setup), formula_tools(setup)).run()
    assert [trial[0] for trial in trials_of(setup)] == [0, 1, 2, 3]
    assert {trial[2] for trial in trials_of(setup)} == {"complete"}


def test_a_study_on_a_full_disk_says_so_and_goes_on(harness: Harness, workspace: Path) -> None:
    assert harness("fold") == 0
    options = {"method": "random", "trials": 30, "pruner": "none"}
    setup = open_setup(workspace, **options)
    study = open_study(setup)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = (workspace / "tune/study.sqlite").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(ResourceError, match=r"storage .* make room") as raised:
            Search(setup, study, formula_tools(setup)).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(raised.value)
    assert Search(setup, open_study(setup), formula_tools(setup)).run()
    assert {trial[2] for trial in trials_of(setup)} == {"complete"}


def test_a_torn_journal_is_read_and_written(harness: Harness, workspace: Path) -> None:
    assert harness("fold") == 0
    options = {"method": "random", "pruner": "none", "storage": "journal:tune/journal.log"}
    for trials in (2, 4):
        setup = open_setup(workspace, trials=trials, **options)
        assert Search(setup, open_study(setup), formula_tools(setup)).run()
        with (workspace / "tune/journal.log").open("ab") as stream:
            stream.write(b'{"op_code":5,"worker_id"')
    assert len(trials_of(setup)) == 4


def test_who_ended_halfway_is_looked_at_again(harness: Harness, workspace: Path) -> None:
    """Killed between the look and what it decides, a trial would else never end there."""
    assert harness("fold") == 0
    looks = 0

    def look(rows: Any, predictions: Any) -> None:
        nonlocal looks
        looks += 1
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(Workspace.open(workspace), Display(), Wish(["tuned"], folds=[0]), look)
    assert looks == 2


def wheel(path: Path) -> bytes:
    """The smallest wheel that pip takes."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "x = 1\n" * 999)
        about = "tiny-1.dist-info"
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{about}/RECORD", "")
    return path.read_bytes()


def test_a_truncated_wheel_is_not_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "tiny-1-py3-none-any.whl"
    whole = wheel(tmp_path / "index" / name)
    kept = tmp_path / "kernel/data"

    def full(command: list[str], **options: Any) -> Any:
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(whole[:700])
        return subprocess.CompletedProcess(command, code, "", "No space left on device\n")

    for code in (1, 0):  # noqa: B007
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "run", full)
            with pytest.raises(UserError, match="No space left"):
                fetch_wheels(["tiny==1"], kept, "3.12")
        assert [path.name for path in kept.parent.rglob("*") if path.is_file()] == []
    (kept / name).write_bytes(whole[:700])  # as an earlier version left it
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    fetch_wheels(["tiny==1"], kept, "3.12")
    assert (kept / name).read_bytes() == whole
    assert [path.name for path in kept.parent.rglob("*") if path.is_file()] == [name]


def test_two_writers_of_corrections_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "audit/corrections.csv"
    writers = [CONTEXT.Process(target=append_many, args=(path, who)) for who in "ab"]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    written = [one.id for one in read_corrections(path)]
    assert sorted(written) == sorted(f"{who}{n}" for who in "ab" for n in range(1000))


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert killed(3, write_text, path, "half")
    (left,) = tmp_path.iterdir()
    living = tmp_path / left.name.replace(
        left.suffixes[-2], f".{left.suffixes[-2][1:9]}-{os.getpid()}"
    )
    mine = tmp_path / ".notes.tmp"
    for other in (living, mine):
        other.touch()
    assert not killed(99, write_text, tmp_path / "y.json", "whole")
    assert set(tmp_path.iterdir()) == {living, mine, tmp_path / "y.json"}
