"""Stored blends: damage is named, and combinations of blends are blends."""

import copy

import numpy as np
import pytest
from stack.problems import make_problem

from harness.errors import WorkspaceError
from harness.stack import blend as blend_module
from harness.stack.blend import Blend, blend_from_json
from harness.stack.methods import METHODS
from harness.stack.rules import Average

STORED = {
    name: METHODS[name].fit(make_problem(), slice(None), 0).to_json()
    for name in (
        "mean",
        "rank_mean",
        "vote",
        "logistic",
        "boosted",
        "bagged_weighted",
        "two_layers",
    )
}


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("key", ["method", "task", "members", "targets", "rule"])
def test_what_is_missing_is_refused(name: str, key: str) -> None:
    record = copy.deepcopy(STORED[name])
    del record[key]
    with pytest.raises(WorkspaceError, match="run `stack` again"):
        blend_from_json(record)


@pytest.mark.parametrize("name", [name for name in STORED if name not in ("mean", "vote")])
@pytest.mark.parametrize(
    "change",
    [{"members": 5}, {"targets": 7}, {"rule": "magic"}, {"task": "guess"}, {"members": "many"}],
)
def test_what_does_not_fit_is_refused(name: str, change: dict) -> None:
    with pytest.raises(WorkspaceError):
        blend_from_json(copy.deepcopy(STORED[name]) | change)


def test_other_shapes_are_a_programming_error() -> None:
    blend = Blend("mean", "multiclass", 2, 3, Average((0.5, 0.5)))
    with pytest.raises(ValueError, match="for which this mean blend was fitted"):
        blend.apply(np.zeros((3, 10, 3)))


def test_pieces_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem(metadata=True)
    blend = METHODS["logistic"].fit(problem, slice(None), 0)
    whole = blend.apply(problem.predictions, problem.metadata)
    monkeypatch.setattr(blend_module, "CELLS_AT_ONCE", 12 * 7)
    np.testing.assert_allclose(blend.apply(problem.predictions, problem.metadata), whole, atol=1e-6)


def test_no_probability_is_zero() -> None:
    certain = np.zeros((2, 3, 3), dtype=np.float32)
    certain[:, :, 0] = 1
    for name in ("mean", "vote", "geometric_mean"):
        blend = METHODS[name].fit(make_problem(members=2), slice(None), 0)
        assert blend.apply(certain).min() > 0
