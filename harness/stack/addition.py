"""What an ensemble is worth with one more member. Pure."""

import numpy as np

from harness.decision import Decision
from harness.stack.methods import METHODS, nested_predictions
from harness.stack.problem import Problem

PARTS = 5


def parts_of(groups: np.ndarray | None, rows: int) -> np.ndarray:
    """(rows,) numbers of parts that weights can be fitted without; groups stay together."""
    return (
        np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    ) % PARTS


def blended_loss(problem: Problem, decision: Decision, seed: int) -> float:
    """The loss of the members' weighted mean, its weights fitted without the part that is scored.

    ``decision`` is applied to the blend. Lower is better, in the metric's own size.
    """
    rows = np.arange(len(problem.truth), dtype=np.intp)
    blended = nested_predictions(problem, METHODS["weighted"], rows, seed)
    return problem.metric.loss(problem.truth, decision.apply(blended))
