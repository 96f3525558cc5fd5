"""Trees in ensemble.json: read by us, exactly as LightGBM means them, whatever stands there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from stack.problems import TASKS, make_problem

from harness.errors import WorkspaceError
from harness.stack.blend import blend_from_json
from harness.stack.booster import Booster, _features, _scores
from harness.stack.methods import METHODS
from harness.workspace import Workspace
from harness.workspace.ensemble import read_ensemble
from harness.workspace.oof import write_oof
from harness.workspace.training import read_training

HOSTILE = {
    "a loop": ("left_child=", "left_child=0 "),
    "a child that is not there": ("right_child=", "right_child=9999999 "),
    "a leaf that is not there": ("right_child=", "right_child=-9999999 "),
    "a feature that is not there": ("split_feature=", "split_feature=9999999 "),
    "a feature before the first": ("split_feature=", "split_feature=-9999999 "),
    "a split by categories": ("decision_type=", "decision_type=1 "),
    "linear leaves": ("is_linear=0", "is_linear=1"),
    "more trees a row than there are": ("num_tree_per_iteration=", "num_tree_per_iteration=99"),
    "no trees": ("num_tree_per_iteration=", "num_tree_per_iteration=0"),
    "endless scores": ("num_tree_per_iteration=", f"num_tree_per_iteration={10**30}"),
    "another number of scores": ("num_tree_per_iteration=3", "num_tree_per_iteration=1"),
    "no number of scores": ("num_tree_per_iteration=", "x="),
    "a leaf without a value": ("leaf_value=", "leaf_value=nan "),
    "no text of trees": ("tree", ""),
}
"""A model's text becomes hostile: what is replaced, and by what; a new first item takes the old
one's place."""


def spoil(text: str, old: str, new: str) -> str:
    """Return the model's text with its first ``old`` replaced, and the list's length kept."""
    before, found, after = text.partition(old)
    assert found
    if new.endswith(" "):
        after = after.partition(" ")[2]
    elif old.endswith("="):
        after = after[after.index("\n") :]
    return before + new + after if old != "tree" else "nothing"


def record(task: str = "multiclass") -> dict[str, Any]:
    problem = make_problem(task, metadata=True)
    return METHODS["lightgbm"].fit(problem, slice(None), 0).to_json()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("gaps", [False, True])
def test_scores_are_lightgbms_to_the_last_bit(task: str, gaps: bool) -> None:
    """With and without gaps in the metadata, in training and afterwards."""
    problem = make_problem(task, metadata=True)
    if gaps:
        assert problem.metadata is not None
        problem.metadata[::3] = np.nan
    rule = METHODS["lightgbm"].fit(problem, slice(None), 0).rule
    assert isinstance(rule, Booster)
    features = _features(
        problem.kind, problem.predictions, problem.metadata, rule.prior, rule.order, rule.columns
    )
    odd = np.resize(np.array([0, -0.0, 1e-40, np.inf, -np.inf, np.nan], np.float32), features.shape)
    for model in rule.models:
        theirs = lightgbm.Booster(model_str=model)
        for rows in (features, odd, features[:0]):
            ours = _scores(model, np.ascontiguousarray(rows.T, np.float64))
            if len(rows):
                wanted = theirs.predict(rows, raw_score=True)
                np.testing.assert_array_equal(ours, wanted.reshape(len(rows), -1))
    assert any("decision_type=" in model for model in rule.models)


@pytest.mark.parametrize("found", HOSTILE)
def test_hostile_trees_are_refused(found: str) -> None:
    stored = record()
    blend_from_json(stored)
    stored["models"] = [spoil(text, *HOSTILE[found]) for text in stored["models"]]
    with pytest.raises(WorkspaceError, match="cannot be read"):
        blend_from_json(stored)


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": 0},
        {"columns": -1},
        {"models": []},
        {"order": [0, 0, 1, 2]},
        {"members": 10**15},
        {"members": 0, "order": []},
        {"targets": 2, "prior": [0.5, 0.5]},
        {"task": "multilabel"},
        {"task": "regression"},
        {"task": "none"},
    ],
)
def test_a_hostile_record_around_trees_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WorkspaceError, match="cannot be read"):
        blend_from_json(record() | wrong)


def test_submit_survives_hostile_trees(
    workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A real one: LightGBM would read outside of its memory, or never come to an end."""
    assert harness("fold") == 0
    opened = Workspace.open(workspace)
    training = read_training(opened)
    draw = np.random.default_rng(0)
    for name in ("one", "two", "three", "four"):
        predictions = draw.dirichlet(np.ones(3), len(training.rows_in_folds)).astype(np.float32)
        write_oof(opened.oof / f"{name}.parquet", training, predictions, {})
    assert harness("stack") == 0
    file = opened.models / "ensemble" / "ensemble.json"
    ensemble = read_ensemble(file.parent)
    for number in ("left_child=0 ", "left_child=99999999 "):
        booster = record()
        booster["models"] = [spoil(text, "left_child=", number) for text in booster["models"]]
        stored = json.loads(file.read_text(encoding="utf-8"))
        stored.pop("crc32", None)
        file.write_text(json.dumps(stored | {"blend": booster}), encoding="utf-8")
        assert booster["members"] == len(ensemble.members)
        assert harness("submit") == 2
        assert "a tree is none that is fitted here" in capsys.readouterr().err
    assert not opened.submissions.exists()
