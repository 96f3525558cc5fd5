"""Synthetic members whose quality and correlation are known."""

from dataclasses import replace

import numpy as np

from harness.metrics import get_metric
from harness.stack.problem import Problem

TASKS = {
    "binary": ("log_loss", 2),
    "multiclass": ("log_loss", 3),
    "ordinal": ("quadratic_weighted_kappa", 4),
    "multilabel": ("log_loss", 3),
    "regression": ("rmse", 1),
}
"""Task → a metric that goes with it, and a number of targets."""


def make_problem(
    task: str = "multiclass",
    metric: str | None = None,
    *,
    rows: int = 300,
    members: int = 4,
    seed: int = 0,
    folds: int = 4,
    metadata: bool = False,
) -> Problem:
    """Members see the signal through noise of their own and noise that they share."""
    usual_metric, targets = TASKS[task]
    draw = np.random.default_rng(seed)
    signal = 1.5 * draw.normal(size=(rows, targets))
    shared = 0.6 * draw.normal(size=(rows, targets))
    noise = np.linspace(0.4, 1.2, members)[:, None, None]
    seen = signal + shared + noise * draw.normal(size=(members, rows, targets))
    if task == "regression":
        truth, predictions = signal[:, 0] + 0.3 * draw.normal(size=rows), seen
    elif task == "multilabel":
        truth = (signal > draw.logistic(size=signal.shape)).astype(np.int64)
        predictions = 1 / (1 + np.exp(-seen))
    else:
        truth = (signal + draw.gumbel(size=signal.shape)).argmax(axis=1)
        predictions = np.exp(seen) / np.exp(seen).sum(axis=2, keepdims=True)
    column = truth.reshape(rows, -1)[:, :1] + draw.normal(size=(rows, 1))
    return Problem(
        names=tuple(f"member {i}" for i in range(members)),
        predictions=predictions.astype(np.float32),
        truth=truth,
        folds=_stratified(truth, folds),
        task=task,
        metric=get_metric(metric or usual_metric),
        metadata=column.astype(np.float32) if metadata else None,
    )


def permute_rows(problem: Problem, order: np.ndarray) -> Problem:
    return replace(
        problem,
        predictions=problem.predictions[:, order],
        truth=problem.truth[order],
        folds=problem.folds[order],
        metadata=problem.metadata_of(order),
    )


def permute_members(problem: Problem, order: np.ndarray) -> Problem:
    return replace(
        problem,
        names=tuple(problem.names[i] for i in order),
        predictions=problem.predictions[order],
    )


def _stratified(truth: np.ndarray, folds: int) -> np.ndarray:
    assigned = np.empty(len(truth), dtype=np.int64)
    assigned[np.argsort(truth.reshape(len(truth), -1)[:, 0], kind="stable")] = np.arange(len(truth))
    return assigned % folds
