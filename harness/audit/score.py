"""A metric's score with its interval. Pure."""

import numpy as np
from numpy.typing import NDArray

from harness.estimate import Estimate
from harness.metrics import Metric

SAMPLES = 200


def score_interval(
    metric: Metric,
    target: NDArray[np.int64],
    predicted: NDArray[np.floating],
    groups: NDArray[np.int64],
) -> Estimate:
    """The score of probabilities (rows, classes), with a bootstrap of whole ``groups`` (rows,)."""
    return Estimate(
        metric.score(target, predicted),
        *_quantiles([metric.score(target[rows], predicted[rows]) for rows in resampled(groups)]),
    )


def gain_interval(
    metric: Metric,
    target: NDArray[np.int64],
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    groups: NDArray[np.int64],
) -> Estimate:
    """How much better ``after`` is on the same rows: positive is better."""

    def gain(rows: NDArray[np.intp]) -> float:
        return metric.loss(target[rows], before[rows]) - metric.loss(target[rows], after[rows])

    everything = np.arange(len(target))
    return Estimate(gain(everything), *_quantiles([gain(rows) for rows in resampled(groups)]))


def resampled(groups: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Rows of groups that are drawn with replacement, ``SAMPLES`` times."""
    random = np.random.default_rng(0)
    codes = np.unique(groups, return_inverse=True)[1]
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    number = len(rows_of)
    return [
        np.concatenate([rows_of[group] for group in random.integers(0, number, number)])
        for _ in range(SAMPLES)
    ]


def _quantiles(values: list[float]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
