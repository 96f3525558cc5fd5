"""Can the test images be told from the training images? Adversarial validation. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.audit.probe import Classifier, Floats, Question, make_folds

MOST_ROWS = 4000
"""Rows of either side that are looked at."""
TELLING = 0.55
"""An area under the curve whose interval lies above this is worth telling."""


@dataclass(frozen=True)
class Drift:
    """How well the sides are told apart: an area under the ROC curve with its 95 % interval.

    ``columns`` are the names of the columns that do so alone, with their areas, the best first;
    ``rows`` the test rows that are least like training rows, with their probability.
    """

    area: float
    low: float
    high: float
    columns: tuple[tuple[str, float], ...]
    rows: tuple[tuple[int, float], ...]

    @property
    def telling(self) -> bool:
        """Whether the sides differ."""
        return self.low > TELLING


def find_drift(
    columns: Floats, names: Sequence[str], is_test: NDArray[np.bool_], classifier: Classifier
) -> Drift:
    """Drift between the rows of ``columns`` (rows, columns) that are and are not ``is_test``.

    Without ``names`` single columns are not looked at.
    """
    random = np.random.default_rng(0)
    rows = np.sort(
        np.concatenate(
            [random.permutation(np.flatnonzero(is_test == side))[:MOST_ROWS] for side in (0, 1)]
        )
    )
    truth = is_test[rows].astype(np.int64)
    folds = make_folds(truth, None)
    told = Question(truth, 2, folds).out_of_fold(columns[rows], classifier)[:, 1]
    single = sorted(
        ((name, _either_way(area(truth, columns[rows, i]))) for i, name in enumerate(names)),
        key=lambda pair: -pair[1],
    )
    value = area(truth, told)
    half = 1.96 * _standard_error(value, int(truth.sum()), int((1 - truth).sum()))
    tests = np.flatnonzero(truth == 1)
    odd = tests[np.argsort(-told[tests], kind="stable")[:10]]
    return Drift(
        value,
        value - half,
        value + half,
        tuple(pair for pair in single if pair[1] > TELLING),
        tuple((int(rows[row]), float(told[row])) for row in odd),
    )


def area(truth: NDArray[np.int64], score: NDArray[np.floating]) -> float:
    """The area under the ROC curve; ties count half."""
    from scipy.stats import rankdata

    positive = int(truth.sum())
    ranks = rankdata(score)[truth == 1].sum() - positive * (positive + 1) / 2
    return float(ranks / (positive * (len(truth) - positive)))


def _either_way(value: float) -> float:
    return max(value, 1 - value)


def _standard_error(value: float, positive: int, negative: int) -> float:
    """Hanley & McNeil (1982)."""
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    variance = (
        value * (1 - value)
        + (positive - 1) * (first - value**2)
        + (negative - 1) * (second - value**2)
    ) / (positive * negative)
    return float(np.sqrt(max(variance, 0.0)))
