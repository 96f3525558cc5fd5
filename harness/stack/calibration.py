"""One temperature for a mean."""

import numpy as np

from harness.stack.link import from_logits, to_logits
from harness.stack.problem import Problem, Rows
from harness.stack.rules import Average


def fit_power(problem: Problem, rows: Rows, weights: tuple[float, ...]) -> float:
    """1 / temperature of the weighted mean with the least loss (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    mixture = Average(weights).apply(problem.kind, problem.predictions[:, rows], None)
    logits, truth = to_logits(problem.kind, mixture), problem.truth[rows]

    def loss(log_power: float) -> float:
        scaled = from_logits(problem.kind, float(np.exp(log_power)) * logits)
        return problem.metric.loss(truth, scaled)

    found = minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))
