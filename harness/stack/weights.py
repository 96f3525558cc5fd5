"""Non-negative weights that sum to one: convex optimum, search, and greedy selection."""

import numpy as np

from harness.stack.inner import thinned
from harness.stack.objective import (
    Objective,
    error_products,
    objective_for,
    true_probability,
)
from harness.stack.problem import Array, Problem, Rows
from harness.stack.simplex import log_optimum, square_optimum

SEARCH_ROWS = 20_000
"""Rows for metrics whose search has to score every trial anew."""
STEPS = (0.4, 0.1, 0.03, -0.03, -0.1, -0.4)
"""What a move of the search adds to a weight, before the weights are made to sum to one again."""


def fit_weighted(problem: Problem, rows: Rows, seed: int) -> Array:
    """Weights (members,): the convex optimum for log loss, Brier and RMSE, a search for others.

    Never worse on ``rows`` than the best single member or the mean.
    """
    if problem.metric.name == "log_loss":
        return log_optimum(true_probability(problem, rows))
    if problem.metric.name in ("brier", "rmse"):
        return square_optimum(error_products(problem, rows))
    found = search(
        objective_for(problem, thinned(rows, SEARCH_ROWS, seed)), surrogate_optimum(problem, rows)
    )
    whole = objective_for(problem, rows)
    members = len(found)
    candidates = [found, np.full(members, 1 / members), *np.eye(members)]
    return min(candidates, key=whole.loss)


def surrogate_optimum(problem: Problem, rows: Rows) -> Array:
    """The optimum of the smooth loss (log loss, or squared error for values)."""
    if problem.kind == "values":
        return square_optimum(error_products(problem, rows))
    return log_optimum(true_probability(problem, rows))


def search(objective: Objective, start: Array, *, moves: int = 50) -> Array:
    """Weights reached by the best single move at a time, until none of them helps.

    Starts from the best of ``start``, the mean and every member alone.
    """
    members = len(start)
    starts = [start, np.full(members, 1 / members), *np.eye(members)]
    weights = min(starts, key=objective.loss)
    least = objective.loss(weights)
    for _ in range(moves):
        trials = np.stack([objective.losses(weights, amount) for amount in STEPS])
        step, member = np.unravel_index(int(trials.argmin()), trials.shape)
        if not trials[step, member] < least:
            break
        least = float(trials[step, member])
        weights = weights.copy()
        weights[member] = max(0.0, weights[member] + STEPS[step])
        weights /= weights.sum()
    return weights


def greedy(
    objective: Objective, members: Array, size: int, *, steps: int = 25, patience: int | None = 5
) -> Array:
    """Weights (size,) by selection with replacement among ``members`` (Caruana et al. 2004).

    Starts from the best few singles (as many as are best together), adds what helps most, and
    returns the best ensemble seen; stops after ``patience`` steps without a better one.
    """
    alone = objective.losses(np.zeros(size), 1.0)
    ranked = sorted((int(i) for i in members), key=lambda i: float(alone[i]))
    counts = np.zeros(size)
    best, least = counts, np.inf
    for count in range(1, min(5, len(ranked), steps) + 1):
        counts = np.zeros(size)
        counts[ranked[:count]] = 1
        loss = objective.loss(counts)
        if not loss < least:
            break
        best, least = counts, loss
    counts, since = best, 0
    while counts.sum() < steps and (patience is None or since < patience):
        losses = objective.losses(counts, 1.0)
        chosen = min(ranked, key=lambda i: float(losses[i]))
        counts = counts.copy()
        counts[chosen] += 1
        since += 1
        if losses[chosen] < least:
            best, least, since = counts, float(losses[chosen]), 0
    return np.asarray(best / best.sum())


def fit_greedy(problem: Problem, rows: Rows, seed: int, *, bags: int = 5) -> Array:
    """Greedy selection from bags of two thirds of the members each, averaged (Caruana 2006)."""
    slow = problem.metric.name not in ("log_loss", "brier", "rmse")
    objective = objective_for(problem, thinned(rows, SEARCH_ROWS, seed) if slow else rows)
    names = np.array(problem.by_name())
    size = len(names)
    generator = np.random.default_rng(seed)
    weights = np.zeros(size)
    for _ in range(bags):
        bag = generator.permutation(names)[: max(1, -(-2 * size // 3))]
        weights += greedy(objective, bag, size) / bags
    return weights
