"""Searches that go on: one process, two of them, one killed, one interrupted."""

import math
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from searching import formula_tools, landscape, open_setup, worker

from harness.errors import TooMuch
from harness.model import ModelSection
from harness.tune.finish import finalists
from harness.tune.report import rows_of
from harness.tune.search import Search, places
from harness.tune.setup import Setup
from harness.tune.study import open_study
from harness.tune.tables import Row

GRID: dict[str, object] = {"method": "grid", "steps": 3, "pruner": "none"}


@pytest.fixture
def folded(workspace: Path, harness: Callable[..., int]) -> Path:
    assert harness("fold") == 0
    return workspace


def searched(setup: Setup, **options: object) -> Study:
    study = open_study(setup)
    assert Search(setup, study, formula_tools(setup), **options).run()  # type: ignore[arg-type]
    return study


def completed(setup: Setup) -> list[Row]:
    return [row for row in rows_of(setup, open_study(setup)) if row.state == "complete"]


def hanging(root: Path, options: dict[str, object], number: int) -> subprocess.Popen[str]:
    """A worker that is in the middle of its trial of that number."""
    process = worker(root, options, hang=number)
    assert process.stdout
    with process.stdout:
        assert process.stdout.readline() == "hanging\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("method", "trials", "within"),
    [
        ("grid", 25, 0.3),
        ("zoom", 40, 0.02),
        ("random", 40, 0.3),
        ("bayes", 40, 0.1),
        ("evolution", 60, 0.1),
    ],
)
def test_each_method_finds_the_region_of_the_optimum(
    folded: Path, method: str, trials: int, within: float
) -> None:
    """In its number of trials, with a fixed seed; the height of the best point over the lowest."""
    options: dict[str, object] = {
        "steps": 5 if method == "grid" else 4,
        "storage": "journal:tune/journal.log",
    }
    options |= {"surrogate": "tpe", "pruner": "none"}
    setup = open_setup(folded, method=method, trials=trials, **options)
    best = finalists(setup, searched(setup), 1)[0]
    assert landscape(best.model, 0) < within


def test_more_trials_later_make_the_same_study(folded: Path) -> None:
    """A search that is cut into pieces draws what one in one piece draws."""
    whole = open_setup(folded, method="random", trials=6, storage="tune/whole.sqlite")
    searched(whole)
    for trials in (2, 6):
        parts = open_setup(folded, method="random", trials=trials, storage="tune/parts.sqlite")
        searched(parts)
    assert [row.values for row in completed(parts)] == [row.values for row in completed(whole)]


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_poor_trials_end_halfway_through_the_first_fold_or_after_it(
    folded: Path, pruner: str
) -> None:
    """The last step is never asked for: whoever comes so far is complete."""
    setup = open_setup(folded, method="random", trials=20, pruner=pruner, storage="sqlite://")
    rows = rows_of(setup, searched(setup))
    assert len(setup.choosing) == 2
    assert {row.folds for row in rows if row.state == "complete"} == {2}
    ended = {row.folds for row in rows if row.state == "pruned"}
    assert ended == ({0.5} if pruner == "median" else {0.5, 1})  # it is the same order in both


def test_what_is_not_trained_in_epochs_ends_after_a_fold(folded: Path) -> None:
    setup = open_setup(folded, method="random", trials=20, pruner="halving", storage="sqlite://")
    tools = formula_tools(setup)
    study = open_study(setup)
    whole = replace(
        tools, train=lambda model, folds, seconds, _: tools.train(model, folds, seconds, None)
    )
    assert Search(setup, study, whole).run()
    assert {row.folds for row in rows_of(setup, study)} == {1, 2}


def test_who_got_further_comes_first_however_easy_the_folds_were() -> None:
    def trial(state: TrialState, step: int, loss: float) -> FrozenTrial:
        value = loss if state == TrialState.COMPLETE else None
        return create_trial(state=state, value=value, intermediate_values={step: loss})

    complete, pruned = TrialState.COMPLETE, TrialState.PRUNED
    trials = [
        trial(complete, 4, 0.9),
        trial(pruned, 2, 0.2),
        trial(complete, 4, 0.7),
        trial(pruned, 1, 0.05),
        trial(pruned, 2, 0.1),
        trial(pruned, 2, math.nan),
        create_trial(state=TrialState.FAIL),
        create_trial(state=TrialState.WAITING),
    ]
    assert places(trials) == [1, 3, 0, 4, 2, math.inf, math.inf, None]


def test_a_training_that_fails_is_a_poor_trial(folded: Path) -> None:
    setup = open_setup(folded, method="random", trials=3)

    def fail(model: ModelSection, fold: int) -> None:
        raise TooMuch("model", "the loss became infinite", "lower lr")

    study = open_study(setup)
    assert Search(setup, study, formula_tools(setup, before=fail)).run()
    rows = rows_of(setup, study)
    assert {(row.state, row.why) for row in rows} == {("pruned", "the loss became infinite")}
    assert finalists(setup, study, 1) == []


def test_an_interrupted_trial_goes_on_with_its_settings(folded: Path) -> None:
    setup = open_setup(folded, method="random", trials=2, pruner="none")
    begun: list[ModelSection] = []

    def interrupt(model: ModelSection, fold: int) -> None:
        begun.append(model)
        raise KeyboardInterrupt

    study = open_study(setup)
    with pytest.raises(KeyboardInterrupt):
        Search(setup, study, formula_tools(setup, before=interrupt)).run()
    searched(setup)
    rows = completed(setup)
    assert len(rows) == 2
    assert begun[0].name in {row.run for row in rows}


def test_when_the_time_is_up_nothing_is_begun(folded: Path) -> None:
    setup = open_setup(folded, method="random", trials=2)
    study = open_study(setup)
    assert not Search(setup, study, formula_tools(setup), seconds=lambda: 0.0).run()
    assert rows_of(setup, study) == []


@pytest.mark.parametrize("storage", ["tune/study.sqlite", "journal:tune/journal.log"])
def test_two_processes_one_of_them_killed(folded: Path, storage: str) -> None:
    """Every point of the grid is finished once, and the one that was cut short is tried again."""
    options = {**GRID, "storage": storage}
    setup = open_setup(folded, **options)
    dying = hanging(folded, options, 2)
    other = worker(folded, options)  # does the rest, and may already wait for the one that hangs
    kill(dying)
    other.communicate()
    assert other.returncode == 0
    done = completed(setup)
    points = Counter(tuple(sorted(row.values.items())) for row in done)
    assert len(points) == 9
    assert set(points.values()) == {1}
    assert len(open_study(setup).trials) == 9


def test_equal_settings_are_one_run(folded: Path) -> None:
    setup = open_setup(folded)
    default = {"lr": setup.model.lr, "drop_path": setup.model.drop_path}
    assert setup.run(default) == setup.model
    changed = setup.run({**default, "lr": 0.5})
    assert changed.name != setup.model.name
    assert changed == open_setup(folded, method="zoom").run({"lr": 0.5, "drop_path": 0.0})
