"""A study is a file: whoever wrote it must not be able to run a program by it."""

import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from searching import formula_tools, open_setup

from harness.tune.report import rows_of
from harness.tune.search import Search
from harness.tune.study import open_study

PARTS = ("cma:", "sepcma:", "cmawm:")


class Program:
    """What writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


@pytest.fixture
def folded(workspace: Path, harness: Callable[..., int]) -> Path:
    assert harness("fold") == 0
    return workspace


def search(root: Path, trials: int, **options: Any) -> optuna.Study:
    setup = open_setup(root, trials=trials, pruner="none", **options)
    study = open_study(setup)
    assert Search(setup, study, formula_tools(setup)).run()
    assert sum(row.state == "complete" for row in rows_of(setup, study)) == trials
    return study


@pytest.mark.parametrize("storage", ["tune/study.sqlite", "journal:tune/journal.log"])
def test_a_planted_pickle_is_never_read(folded: Path, tmp_path: Path, storage: str) -> None:
    victim = tmp_path / "victim"
    planted = pickle.dumps(Program(victim)).hex()
    study = search(folded, 5, method="evolution", storage=storage)
    assert not any(key.startswith(PARTS) for t in study.trials for key in t.system_attrs)
    last = study.trials[-1]
    for trial in study.trials:
        study._storage.create_new_trial(
            study._study_id,
            create_trial(
                value=trial.value,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs={f"{part}optimizer:0": planted for part in PARTS},
            ),
        )
    setup = open_setup(folded, method="evolution", trials=11, pruner="none", storage=storage)
    study = open_study(setup)
    assert Search(setup, study, formula_tools(setup)).run()
    assert study.trials[-1].number == last.number + 6
    assert not victim.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"method": "evolution"},
        {"method": "bayes", "surrogate": "tpe"},
        {"method": "bayes", "surrogate": "gp"},
        {"method": "random"},
    ],
)
def test_no_method_unpickles(
    folded: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    options |= {"storage": "journal:tune/journal.log"}
    search(folded, 2, **options)  # what the libraries do when they are first used is their own
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    search(folded, 9, **options)


def test_evolution_goes_on_beside_trials_of_another_space(folded: Path) -> None:
    """Values beyond the ends, of another type or none at all teach nothing, and do no harm."""
    search(folded, 1, method="evolution")
    with sqlite3.connect(folded / "tune" / "study.sqlite") as connection:
        connection.execute("update trial_params set param_value = -1e300")
    connection.close()
    study = search(folded, 3, method="evolution")
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=0.0))
    search(folded, 7, method="evolution")


def test_evolution_draws_the_same_in_one_piece_and_in_several(folded: Path) -> None:
    whole = search(folded, 8, method="evolution", storage="sqlite://")
    for trials in (1, 8):
        parts = search(folded, trials, method="evolution", storage="journal:tune/parts.log")
    assert [trial.params for trial in parts.trials] == [trial.params for trial in whole.trials]
