"""Budgeted submissions as users run them: real processes, real clocks, real kills."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from tiny import CLASSES, cheap_costs, edit, make_workspace, write_table

from harness.cli import main
from harness.workspace.ensemble import read_ensemble

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose costs are measured."""
    folder = make_workspace(tmp_path_factory.mktemp("budget") / "workspace")
    toml = folder / "competition.toml"  # a mirrored ant is a cat
    edit(toml, 'label = "label"', 'label = "label"\ninvariances = []')
    for verb in (["fold"], ["train"], ["stack"], ["cost", *cheap_costs()]):
        assert main([*verb, "-C", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(planned: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(planned, tmp_path / "copy"))


def run(folder: Path, *arguments: str, path: str = ROOT) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own: budgets count from the process's start."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def submission(folder: Path, name: str) -> tuple[list[dict[str, str]], dict[str, object]]:
    """(rows, sidecar) of a submission that a grader would take."""
    with (folder / "submissions" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", *CLASSES]
    assert [row["id"] for row in rows] == [f"{i:03d}" for i in range(30, 39)]
    for row in rows:
        assert abs(sum(float(row[label]) for label in CLASSES) - 1) < 1e-6
    sidecar = (folder / "submissions" / f"{name}.json").read_text(encoding="utf-8")
    return rows, json.loads(sidecar)


def is_prior(row: dict[str, str]) -> bool:
    return {row[label] for label in CLASSES} == {"0.333333333"}


def test_time_enough_completes_the_plan_and_is_left_alone_afterwards(planned: Path) -> None:
    command = ["submit", "--budget", "5m", "--name", "long"]
    done = run(planned, *command)
    assert done.returncode == 0, done.stderr
    rows, sidecar = submission(planned, "long")
    assert sidecar["completed"] is True
    assert not any(is_prior(row) for row in rows)
    assert run(planned, "submit", "--name", "plain").returncode == 0
    plain, _ = submission(planned, "plain")  # time enough: as without a budget
    for ours, theirs in zip(rows, plain, strict=True):
        for label in CLASSES:
            assert float(ours[label]) == pytest.approx(float(theirs[label]), abs=0.02)
    sets = sidecar["member_sets"]
    assert all(sets[number] for number in sidecar["row_sets"])  # type: ignore[index,attr-defined]
    assert set(sidecar["spent"]) == {"start", "load", "predict", "write"}  # type: ignore[call-overload]
    before = (planned / "submissions" / "long.csv").stat()
    assert "unchanged:" in run(planned, *command).stdout
    assert (planned / "submissions" / "long.csv").stat().st_mtime_ns == before.st_mtime_ns
    assert main(["grade", str(planned / "submissions/long.csv"), "-C", str(planned)]) == 0


HANGING = """\
import itertools, sys, threading
if "harness.cli.worker" in sys.orig_argv:
    from PIL import Image
    opened, calls = Image.open, itertools.count()
    def hang(*given, **named):
        if next(calls) >= 3:
            threading.Event().wait()  # for ever
        return opened(*given, **named)
    Image.open = hang
"""
"""A sitecustomize.py: the predicting process hangs at its fourth picture."""


def test_a_hang_is_ended_in_time(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGING, encoding="utf-8")
    plans = json.loads((copy / "models/ensemble/plans.json").read_text(encoding="utf-8"))["plans"]
    costs = plans[0]["costs"]
    starting = costs["start"] + sum(seconds for _, seconds in costs["runtimes"])
    budget = 4 + 2 * starting  # surely enough to come there
    path = os.pathsep.join((ROOT, str(tmp_path)))
    done = run(copy, "submit", "--budget", f"{budget:.1f}", "--name", "hung", path=path)
    assert done.returncode == 3
    _, sidecar = submission(copy, "hung")
    assert sidecar["completed"] is False
    assert float(sidecar["seconds"]) < budget  # type: ignore[arg-type]
    assert "the time was up" in done.stdout


def test_kill_9_leaves_a_whole_file(copy: Path) -> None:
    path = copy / "submissions/killed.csv"
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "submit", "--budget", "5m", "--name", "killed"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    while not path.exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    with path.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 9
    for left in (".killed.csv.1.tmp", ".killed.json.1.tmp"):  # as a kill between two steps does
        (path.parent / left).touch()
    assert run(copy, "submit", "--budget", "5m", "--name", "killed").returncode == 0
    assert not list(path.parent.glob("*.tmp"))


def test_unreadable_images_get_the_prior_and_are_told(copy: Path) -> None:
    (copy / "data/images/034.png").write_bytes(b"\x89PNG no more")
    (copy / "data/images/035.png").unlink()
    done = run(copy, "submit", "--budget", "5m", "--name", "holes")
    assert done.returncode == 3
    rows, sidecar = submission(copy, "holes")
    assert [row["id"] for row in rows if is_prior(row)] == ["034", "035"]
    assert sidecar["prior_rows"] == ["034", "035"]
    assert "034 gets the prior" in done.stdout


def test_a_test_set_that_grew_is_predicted_whole(copy: Path) -> None:
    ids = [f"{i:03d}" for i in range(30, 39)]
    extra = [f"x{i}" for i in range(60)]
    for i, id_ in enumerate(extra):
        shutil.copy(copy / f"data/images/{ids[i % 9]}.png", copy / f"data/images/{id_}.png")
    write_table(copy / "data/test.csv", ["id"], [[id_] for id_ in ids + extra])
    third = round(1 / 3, 9)
    write_table(
        copy / "data/sample_submission.csv",
        ["id", *CLASSES],
        [[id_, third, third, third] for id_ in ids + extra],
    )
    done = run(copy, "submit", "--budget", "5m", "--name", "grown")
    assert done.returncode == 0, done.stderr
    with (copy / "submissions/grown.csv").open(encoding="utf-8", newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 69


def test_a_rehearsal_repeats_the_images(planned: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["rehearse", "--rows", "40", "--budget", "5m", "--memory", "64G", "-C", str(planned)]
    assert main(command) == 0
    said = capfd.readouterr().out
    assert "rehearsal of 40 rows" in said
    assert said.rstrip().endswith("PASS")
    assert not (planned / ".cache/rehearsal").exists()


def test_a_rehearsal_without_the_memory_fails(
    planned: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["rehearse", "--budget", "5m", "--memory", "1M", "-C", str(planned)]
    assert main(command) == 2
    assert "FAIL: memory" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["submit", "--budget", "soon"], "is no span of time"),
        (["cost", "--engine", "torch-fp23"], "did you mean 'torch-fp32'"),
        (["rehearse", "--budget", "9s", "--memory", "much"], "is no size of memory"),
        (["rehearse"], "knows no budget"),
    ],
)
def test_mistakes_are_told(
    planned: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], found: str
) -> None:
    assert main([*arguments, "-C", str(planned)]) == 2
    assert found in capfd.readouterr().err


def test_plans_of_another_ensemble_are_refused(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(copy / "competition.toml", '"mean", "weighted"', '"mean", "vote"')
    assert main(["stack", "-C", str(copy)]) == 0
    assert main(["submit", "--budget", "5m", "-C", str(copy)]) == 2
    assert "run `python -m harness cost" in capfd.readouterr().err


def spoil(file: Path) -> None:
    """Weights that are no numbers, in a file that another tool wrote."""
    arrays = load_file(file)
    save_file({name: array * np.nan for name, array in arrays.items()}, file)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda file: file.write_bytes(b""), ".safetensors: cannot be read"),
        (lambda file: file.unlink(), ".safetensors: there is no such file"),
        (spoil, "predicts NaN or infinity"),
    ],
    ids=["empty", "missing", "NaN"],
)
def test_damaged_weights_are_named(
    copy: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    found: str,
) -> None:
    ensemble = read_ensemble(copy / "models/ensemble")
    name = ensemble.used[0]
    damage(copy / "models" / name / ensemble.weights[ensemble.members.index(name)][0])
    assert main(["submit", "--name", "n", "-C", str(copy)]) == 2
    error = capfd.readouterr().err
    assert found in error
    assert f"train --retrain {name}" in error
    assert "then `stack`" in error
    assert error.count("\n") == 1
    assert not (copy / "submissions/n.csv").exists()


def test_without_costs_there_is_no_budget(
    workspace: Path, harness: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == harness("train", "--only", "probe") == harness("stack") == 0
    assert harness("submit", "--budget", "9") == 2
    assert "run `python -m harness cost" in capfd.readouterr().err


def test_members_of_another_tool_need_no_engine(copy: Path) -> None:
    for name in ("tuned", "probe"):
        (copy / f"oof/{name}.parquet").rename(copy / f"oof/{name}.foreign")
    frame = pd.read_parquet(copy / "oof/probe.foreign")
    frame.to_parquet(copy / "oof/foreign.parquet")
    ids = [f"{i:03d}" for i in range(30, 39)]
    sure = pd.DataFrame({"id": ids, "ant": 0.8, "bee": 0.15, "cat": 0.05})
    sure.to_parquet(copy / "oof/foreign.test.parquet")
    for verb in (
        ["stack"],
        ["cost", *cheap_costs()],
        ["submit", "--budget", "5m", "--name", "given"],
    ):
        done = run(copy, *verb)
        assert done.returncode == 0, done.stderr
    rows, sidecar = submission(copy, "given")
    assert sidecar["members"] == ["foreign"]
    assert {row["ant"] for row in rows} != {"0.333333333"}
    assert len({tuple(row.values())[1:] for row in rows}) == 1
