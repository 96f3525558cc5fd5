"""The training rows, and what is done to any prediction before it is scored."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import edit, write_table

from harness.cli.lending import lend
from harness.decision import Decision
from harness.errors import WorkspaceError
from harness.metrics import get_metric
from harness.train.job import Job
from harness.train.outputs import Output
from harness.tune.setup import Setup
from harness.workspace import Workspace
from harness.workspace.folds import read_folds, write_folds
from harness.workspace.oof import oof_metadata
from harness.workspace.runs import save_arrays
from harness.workspace.training import read_training


@pytest.fixture
def values(workspace: Path, harness: Callable[..., int]) -> Path:
    """The workspace with values from 0 to 29, of which the folds do not hold all."""
    competition = workspace / "competition.toml"
    edit(
        competition,
        'task = "multiclass"\nmetric = "log_loss"',
        'task = "regression"\nmetric = "mae"',
    )
    edit(competition, "seed = 7", "seed = 7\nholdout = 0.2")
    rows = [[f"{i:03d}", str(i)] for i in range(30)]
    write_table(workspace / "data/train.csv", ["id", "label"], rows)
    sample = [[f"{i:03d}", "0"] for i in range(30, 39)]
    write_table(workspace / "data/sample_submission.csv", ["id", "label"], sample)
    assert harness("fold") == 0
    return workspace


def test_values_stay_within_the_range_of_the_rows_in_folds(values: Path) -> None:
    training = read_training(Workspace.open(values))
    known = training.target[training.rows_in_folds]
    assert training.decision == Decision("range", (float(known.min()), float(known.max())))


def test_one_cell_for_all_labels_must_not_be_empty(
    workspace: Path, harness: Callable[..., int]
) -> None:
    competition = workspace / "competition.toml"
    task = 'task = "multilabel"\nmetric = "f1_samples"'
    edit(competition, 'task = "multiclass"\nmetric = "log_loss"', task)
    sample = [[f"{i:03d}", "ant"] for i in range(30, 39)]
    write_table(workspace / "data/sample_submission.csv", ["id", "label"], sample)
    assert harness("fold") == 0
    training = read_training(Workspace.open(workspace))
    assert training.decision == Decision("thresholds", (0.5, 0.5, 0.5), at_least_one=True)
    edit(workspace / "data/train.csv", "029,cat", "029,")
    assert harness("fold", "--fresh") == 0  # a row without a label shows that a cell may be empty
    assert not read_training(Workspace.open(workspace)).decision.at_least_one
    edit(competition, "[data]", "[data]\nallow_empty = false")
    assert read_training(Workspace.open(workspace)).decision.at_least_one


def test_an_empty_fold_is_refused(harness: Callable[..., int], workspace: Path) -> None:
    assert harness("fold") == 0
    folder = workspace / "folds"
    write_folds(folder, replace(read_folds(folder), k=4), {})
    with pytest.raises(WorkspaceError, match=r"fold 3 has no row; .*fold --fresh"):
        read_training(Workspace.open(workspace))


def test_training_and_search_score_decided_predictions(values: Path) -> None:
    workspace = Workspace.open(values)
    training = read_training(workspace)
    predictions = (3 * training.target[:, None] - 20).astype(np.float32)
    rows = training.rows_in_folds
    clipped = training.decision.apply(predictions[rows])
    expected = get_metric("mae").score(training.target[rows], clipped)

    jobs = [Job(fold, fold=fold) for fold in range(training.folds.k)]
    output = Output(workspace, training, "probe", {})
    for job in jobs:
        scored = predictions[job.split(training)[1]]
        save_arrays(job.predictions_file(output.folder), {"predictions": scored})
    assert output.finish(jobs, "last") == pytest.approx(expected)
    assert float(oof_metadata(output.oof_file)["score"]) == pytest.approx(expected, abs=1e-5)

    section = SimpleNamespace(objective="score")
    setup = SimpleNamespace(workspace=workspace, training=training, section=section)
    assert lend(setup, None).loss(rows, predictions[rows]) == pytest.approx(expected)  # type: ignore[arg-type]

    search = SimpleNamespace(
        training=training,
        has_holdout=True,
        judging=[0, 1],
        _stored=lambda run, fold: {"holdout": predictions[training.holdout_rows]},
    )
    _, judged = Setup.judged(search, "probe")  # type: ignore[arg-type]
    assert judged.max() <= training.decision.numbers[1]
