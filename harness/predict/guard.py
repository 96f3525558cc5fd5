"""May an engine serve a member? Only if its answers score no worse than the stored ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics import Metric

TOLERANCE = 0.1
"""How much worse the score may be, in standard errors of the score itself."""

BLOCKS = 40


@dataclass(frozen=True)
class Agreement:
    """The metric on the same OOF rows, from the stored predictions and from an engine.

    ``worse`` is how much worse the engine's score is.
    """

    reference: float
    score: float
    worse: float
    standard_error: float

    @property
    def acceptable(self) -> bool:
        """Whether the engine is worse by at most a tenth of the metric's standard error."""
        return self.worse <= TOLERANCE * self.standard_error


def agreement(
    metric: Metric,
    truth: NDArray[Any],
    reference: NDArray[np.float32],
    predictions: NDArray[np.float32],
    groups: NDArray[Any] | None = None,
) -> Agreement:
    """Compare an engine's OOF predictions with a reference, (rows, targets) both.

    Each row must be predicted by the fold model that never saw it. Predictions that are not
    finite are never acceptable (their score is NaN).
    """
    expected = metric.score(truth, reference)
    error = standard_error(metric, truth, reference, groups)
    finite = bool(np.isfinite(predictions).all())
    score = metric.score(truth, predictions) if finite else float("nan")
    worse = expected - score if metric.greater_is_better else score - expected
    return Agreement(expected, score, worse, error)


def standard_error(
    metric: Metric,
    truth: NDArray[Any],
    predictions: NDArray[np.float32],
    groups: NDArray[Any] | None = None,
) -> float:
    """The metric's standard error by the delete-a-block jackknife (Shao and Tu, 1995).

    It asks nothing of the metric but a value, and takes 40 of them. Rows of a group share a block.
    """
    if groups is None:
        unit = np.arange(len(truth))
    else:
        _, unit = np.unique(groups, return_inverse=True)
    units = int(unit.max()) + 1
    blocks = min(BLOCKS, units)
    # neighbours in the table may be alike: deal them out at random, the same way every time
    block = (np.random.default_rng(0).permutation(units) % blocks)[unit]
    scores = np.array(
        [metric.score(truth[block != b], predictions[block != b]) for b in range(blocks)]
    )
    return float(np.sqrt((blocks - 1) / blocks * np.sum((scores - scores.mean()) ** 2)))
