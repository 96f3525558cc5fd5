"""The meta-learners' own arithmetic."""

import numpy as np
import pytest
from stack.problems import TASKS, make_problem

from harness.stack import linear
from harness.stack.linear import fit_logistic, fit_ridge
from harness.stack.methods import METHODS


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_slope_is_that_of_the_loss(task: str) -> None:
    problem = make_problem(task, metadata=True)
    rows = np.arange(300)
    features = linear._design(problem, rows, np.zeros(1), np.ones(1)).astype(np.float64)
    target = linear._target(problem, rows)
    weights = 0.1 * np.random.default_rng(0).normal(size=linear._equal_weights(problem, 1).shape)
    _, slope = linear._cross_entropy(features, target, weights)
    step = 1e-2
    for position in np.ndindex(*weights.shape):
        moved = [weights.copy(), weights.copy()]
        moved[0][position] += step
        moved[1][position] -= step
        up, down = (linear._cross_entropy(features, target, one)[0] for one in moved)
        assert (up - down) / (2 * step) == pytest.approx(slope[position], abs=2e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_strong_penalty_leaves_the_geometric_mean(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "PENALTIES", (1e6,))
    problem = make_problem(task, rows=2000)
    rule = fit_logistic(problem, np.arange(2000), 0)
    free = linear._equal_weights(problem, 0)
    np.testing.assert_allclose(rule.coefficients[:, :-1], free[:, :-1], atol=1e-4)
    mean = METHODS["geometric_mean"].fit(problem, slice(None), 0).apply(problem.predictions)
    rule.coefficients[:, -1] = 0  # the intercept is free
    made = rule.apply(problem.kind, problem.predictions, None)
    np.testing.assert_allclose(made, mean, atol=1e-3)


def test_logistic_finds_what_scikit_learn_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(linear, "PENALTIES", (1e-6,))
    problem = make_problem("binary", rows=3000, members=2)
    rule = fit_logistic(problem, np.arange(3000), 0)
    second = problem.predictions[:, :, 1].astype(np.float64)
    logits = np.log(second / (1 - second)).T
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(logits, problem.truth)
    found = rule.coefficients[0, :, 0]
    np.testing.assert_allclose(found, [*theirs.coef_[0], theirs.intercept_[0]], atol=5e-3)


def test_ridge_recovers_a_linear_truth() -> None:
    problem = make_problem("regression", rows=1000, members=2)
    problem.truth[:] = 3 + 2 * problem.predictions[0, :, 0] - problem.predictions[1, :, 0]
    predictions = fit_ridge(problem, np.arange(1000)).apply("values", problem.predictions, None)
    assert np.abs(predictions[:, 0] - problem.truth).max() < 0.05


@pytest.mark.parametrize("task", TASKS)
def test_metadata_may_be_missing_or_constant(task: str) -> None:
    problem = make_problem(task, metadata=True)
    assert problem.metadata is not None
    problem.metadata[::3] = np.nan
    constant = np.full_like(problem.metadata, 5.0)
    unknown = np.full_like(problem.metadata, np.nan)
    object.__setattr__(problem, "metadata", np.hstack([problem.metadata, constant, unknown]))
    for name in ("ridge", "logistic", "lightgbm"):
        if METHODS[name].applies(task, problem.metric):
            blend = METHODS[name].fit(problem, slice(None), 0)
            assert np.isfinite(blend.apply(problem.predictions, problem.metadata)).all()


@pytest.mark.parametrize("name", ["logistic", "ridge", "lightgbm", "boosted", "weighted"])
def test_a_class_that_the_rows_lack_does_no_harm(name: str) -> None:
    problem = make_problem("multiclass", rows=300)
    rows = np.flatnonzero(problem.truth != 2)
    blend = METHODS[name].fit(problem, rows, 0)
    predictions = blend.apply(problem.predictions)
    assert np.isfinite(predictions).all()
    assert predictions.min() > 0
