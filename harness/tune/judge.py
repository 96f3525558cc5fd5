"""What a winner is worth on rows that did not choose it. Pure.

The best of many trials was picked for its luck, too: on the folds that chose it its score flatters
by as much as trials differ by chance (Cawley & Talbot 2010). So the winner and the default are
compared on other rows, and both are trained with several seeds, because two trainings of the same
settings differ as well (Bouthillier et al. 2021).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.estimate import Estimate
from harness.metrics import Metric

Array = NDArray[Any]
Resample = Callable[[Metric, Array, Array | None, Sequence[Array], int, int], tuple[Array, Array]]

SAMPLES = 1000
NORMAL = 1.96
"""Standard errors from the middle to the end of a 95 % interval."""


@dataclass(frozen=True)
class Verdict:
    """The winner against the default, on ``rows`` rows that chose nothing.

    ``winner`` and ``default`` are scores in the metric's direction, means over ``seeds`` trainings
    each; ``gain`` is their difference, turned so that positive is better. ``seed_noise`` is the
    standard deviation between trainings that differ in nothing but the seed, NaN if unknown.
    """

    winner: Estimate
    default: Estimate
    gain: Estimate
    seed_noise: float
    seeds: int
    rows: int

    @property
    def supported(self) -> bool:
        """Return whether the winner is better by more than chance explains."""
        return self.gain.low > 0


def judge(
    metric: Metric,
    truth: Array,
    groups: Array | None,
    winner: Sequence[Array],
    default: Sequence[Array],
    resample: Resample,
    seed: int = 0,
) -> Verdict:
    """Compare two settings by their predictions (rows, targets), one a training.

    The rows' part of the error is a paired bootstrap's, the trainings' part the variance between
    seeds, with Student's t for the few that there are. ValueError if the two were not trained
    equally often.
    """
    count = len(winner)
    if len(default) != count:
        raise ValueError(f"{count} trainings against {len(default)}")
    whole, samples = resample(metric, truth, groups, [*winner, *default], SAMPLES, seed)
    variance = spread = 0.0
    if count > 1:  # few trainings tell the variance badly: Student's t
        variance = (_variance(whole[:count]) + _variance(whole[count:])) / 2
        spread = variance * (float(stdtrit(2 * (count - 1), 0.975)) / NORMAL) ** 2 / count
    sign = 1 if metric.greater_is_better else -1
    ours, theirs = float(whole[:count].mean()), float(whole[count:].mean())
    drawn_ours, drawn_theirs = samples[:, :count].mean(axis=1), samples[:, count:].mean(axis=1)
    return Verdict(
        winner=_estimate(ours, drawn_ours, spread).within(*metric.bounds),
        default=_estimate(theirs, drawn_theirs, spread).within(*metric.bounds),
        gain=_estimate(sign * (ours - theirs), sign * (drawn_ours - drawn_theirs), 2 * spread),
        seed_noise=math.sqrt(variance) if count > 1 else math.nan,
        seeds=count,
        rows=len(truth),
    )


def _variance(scores: Array) -> float:
    return float(np.var(scores, ddof=1))


def _estimate(value: float, samples: Array, variance: float) -> Estimate:
    """The value with its 95 % interval: the bootstrap's spread, and ``variance`` beside it."""
    error = NORMAL * math.sqrt(float(np.var(samples)) + variance)
    return Estimate(float(value), float(value) - error, float(value) + error)
