"""Weights: the optimum is one, duplicates and noise do no harm, every objective is exact."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.problems import TASKS, make_problem

from harness.metrics import metrics_for
from harness.stack.methods import METHODS
from harness.stack.objective import objective_for
from harness.stack.problem import Problem
from harness.stack.simplex import log_optimum, square_optimum
from harness.stack.weights import fit_greedy, fit_weighted, greedy

PAIRS = [(task, name.replace("@5", "@2")) for task in TASKS for name in metrics_for(task)]
every_metric = pytest.mark.parametrize(("task", "metric"), PAIRS)


def all_rows(problem: Problem) -> np.ndarray:
    return np.arange(len(problem.folds))


def mixture_loss(problem: Problem, weights: np.ndarray, rows: np.ndarray) -> float:
    mixture = np.tensordot(weights, problem.predictions[:, rows], 1) / weights.sum()
    loss = problem.metric.loss(problem.truth[rows], mixture)
    return loss**2 if problem.metric.name == "rmse" else loss


def coarse(problem: Problem) -> Problem:
    """Predictions on a few levels, so that there are ties; their sums are exact in binary."""
    levels = (np.round(problem.predictions * 4) + 0.5) / 8
    if problem.kind == "classes" and problem.metric.needs == "probabilities":
        levels /= levels.sum(axis=2, keepdims=True)
    return replace(problem, predictions=levels.astype(np.float32))


@every_metric
@settings(max_examples=12)
@given(
    seed=st.integers(0, 50),
    ties=st.booleans(),
    odd_rows=st.booleans(),
    counts=st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any),
)
def test_objectives_agree_with_the_metric(
    task: str, metric: str, seed: int, ties: bool, odd_rows: bool, counts: list[int]
) -> None:
    problem = make_problem(task, metric, rows=120, seed=seed)
    if ties:
        problem = coarse(problem)
    rows = np.arange(1, 120, 2) if odd_rows else np.arange(120)
    weights = np.array(counts, dtype=np.float64)
    objective = objective_for(problem, rows)
    assert objective.loss(weights) == pytest.approx(mixture_loss(problem, weights, rows), abs=1e-5)
    for amount in (1.0, 0.25, -1.0):
        found = objective.losses(weights, amount)
        for i, loss in enumerate(found):
            step = weights + amount * np.eye(4)[i]
            if step.min() < 0 or step.sum() <= 0:
                assert loss == np.inf
            else:
                assert loss == pytest.approx(mixture_loss(problem, step, rows), abs=1e-5)


@every_metric
def test_weighted_is_never_worse_than_the_best_single_or_the_mean(task: str, metric: str) -> None:
    for seed in range(3):
        problem = make_problem(task, metric, seed=seed)
        losses = {
            name: problem.metric.loss(
                problem.truth,
                METHODS[name].fit(problem, slice(None), 0).apply(problem.predictions),
            )
            for name in ("weighted", "best", "mean")
        }
        assert losses["weighted"] <= min(losses["best"], losses["mean"]) + 1e-7


@pytest.mark.parametrize(
    ("task", "metric"), [p for p in PAIRS if p[1] in ("log_loss", "brier", "rmse")]
)
def test_a_duplicate_member_changes_nothing(task: str, metric: str) -> None:
    problem = make_problem(task, metric, rows=1000)
    doubled = replace(
        problem,
        names=(*problem.names, "again"),
        predictions=np.concatenate([problem.predictions, problem.predictions[1:2]]),
    )
    scores = [
        one.metric.score(
            one.truth, METHODS["weighted"].fit(one, slice(None), 0).apply(one.predictions)
        )
        for one in (problem, doubled)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.parametrize("task", [task for task in TASKS if task != "ordinal"])
@pytest.mark.parametrize("fit", [fit_weighted, fit_greedy])
def test_pure_noise_gets_no_weight(task: str, fit: Callable[..., np.ndarray]) -> None:
    """With a truth drawn from the others' mean, so that noise cannot help by adding doubt."""
    problem = make_problem(task, rows=10_000, members=5)
    draw = np.random.default_rng(1)
    mean = problem.predictions[:4].mean(axis=0)
    if task == "regression":
        problem.truth[:] = mean[:, 0] + 0.3 * draw.normal(size=10_000)
    elif task == "multilabel":
        problem.truth[:] = draw.uniform(size=mean.shape) < mean
    else:
        problem.truth[:] = (draw.uniform(size=(10_000, 1)) > mean.cumsum(axis=1)[:, :-1]).sum(
            axis=1
        )
    problem.predictions[4] = problem.predictions[0, draw.permutation(10_000)]
    assert fit(problem, all_rows(problem), 0)[4] < 0.02


def test_the_log_optimum_is_where_em_goes() -> None:
    draw = np.random.default_rng(0)
    likelihood = draw.beta(2, 1, size=(6, 3000)) ** draw.uniform(0.5, 2, size=(6, 1))
    weights = np.full(6, 1 / 6)
    for _ in range(20_000):
        weights *= (likelihood / (weights @ likelihood)).mean(axis=1)
    found = log_optimum(likelihood)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    loss, em_loss = (-np.log(w @ likelihood).mean() for w in (found, weights))
    assert em_loss - 1e-9 > loss - 2e-9
    np.testing.assert_allclose(found, weights, atol=2e-3)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 12))
def test_no_direction_leads_down_from_the_optimum(seed: int, members: int) -> None:
    """Karush, Kuhn and Tucker: no member's slope is below the mixture's own."""
    draw = np.random.default_rng(seed)
    errors = draw.normal(size=(members, 60)) + draw.normal(size=60)
    gram = errors @ errors.T / 60
    weights = square_optimum(gram)
    slope = gram @ weights
    assert slope.min() >= weights @ slope - 1e-7
    likelihood = draw.uniform(0.01, 1, size=(members, 60))
    weights = log_optimum(likelihood)
    assert (likelihood / (weights @ likelihood)).mean(axis=1).max() <= 1 + 1e-5


def test_a_member_without_errors_takes_all() -> None:
    np.testing.assert_allclose(square_optimum(np.diag([2.0, 0.0, 1.0])), [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(square_optimum(np.zeros((2, 2))).sum(), 1)


def test_greedy_adds_what_helps_most() -> None:
    problem = make_problem(rows=500)
    objective = objective_for(problem, all_rows(problem))
    weights = greedy(objective, np.arange(4), 4, steps=25, patience=None)
    counts = weights * 25
    assert objective.loss(weights) <= min(objective.losses(np.zeros(4), 1.0))
    optimum = fit_weighted(problem, all_rows(problem), 0)
    assert objective.loss(weights) < objective.loss(optimum) + 1e-3
    assert counts.min() >= 0


def test_one_step_of_greedy_is_the_best_single() -> None:
    problem = make_problem(rows=500)
    objective = objective_for(problem, all_rows(problem))
    weights = greedy(objective, np.arange(4), 4, steps=1)
    assert weights.argmax() == objective.losses(np.zeros(4), 1.0).argmin()
