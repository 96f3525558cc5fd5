"""One temperature for a mean, and the shifts of logits that serve a metric of decisions."""

import numpy as np

from harness.stack.inner import thinned
from harness.stack.link import from_logits, to_logits
from harness.stack.problem import Array, Problem, Rows
from harness.stack.resample import scorer
from harness.stack.rules import Average
from harness.stack.weights import SEARCH_ROWS

SHIFT_STEPS = (1.0, 0.5, 0.25, 0.1)


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


def fit_shift(problem: Problem, rows: Rows, weights: Array, seed: int) -> Array:
    """What to add to the mixture's logits (targets,) so that its decisions suit the metric.

    A coordinate search in shrinking steps: decisions change in jumps, so there is no slope. For
    labels this moves each one's threshold away from one half.
    """
    rows = thinned(rows, SEARCH_ROWS, seed)
    mixture = Average(tuple(weights)).apply(problem.kind, problem.predictions[:, rows], None)
    logits, truth = to_logits(problem.kind, mixture), problem.truth[rows]
    once = np.ones((1, len(rows)), dtype=np.float32)
    sign = -1 if problem.metric.greater_is_better else 1

    def loss(shift: Array) -> float:
        # for labels the decision is at one half, so a sigmoid is needed; classes only need order
        moved = (
            logits + shift if problem.kind == "classes" else from_logits("labels", logits + shift)
        )
        return sign * float(scorer(problem.metric, truth, moved)(once)[0])

    shift = np.zeros(logits.shape[1])
    least = loss(shift)
    for step in SHIFT_STEPS:
        improved = True
        while improved:
            improved = False
            for target in range(len(shift)):
                for change in (step, -step):
                    trial = shift.copy()
                    trial[target] += change
                    new = loss(trial)
                    if new < least:
                        shift, least, improved = trial, new, True
    return shift
