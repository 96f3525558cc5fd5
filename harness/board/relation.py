"""How cross-validation relates to the public leaderboard, and what its noise leaves open. Pure.

Scores are in the metric's own direction. Standard deviations are those of the score on the public
rows, drawn at random from what might have been drawn.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.estimate import Estimate

Z = 1.96
LEAST = 4
"""Submissions below which a correlation has no interval."""


@dataclass(frozen=True)
class Candidate:
    """A submission that might be selected at the end: its nested score and 95 % interval."""

    name: str
    nested: float
    low: float
    high: float


def rank_correlation(nested: Sequence[float], public: Sequence[float]) -> Estimate | None:
    """Spearman's correlation with its 95 % interval; None below LEAST pairs or without variance.

    The interval is Fisher's with the variance of Bonett and Wright (2000, Psychometrika 65), in
    which a perfect correlation counts as 0.99.
    """
    if len(nested) < LEAST or len(set(nested)) == 1 or len(set(public)) == 1:
        return None
    from scipy.stats import spearmanr

    value = float(spearmanr(nested, public).statistic)
    wide = Z * math.sqrt((1 + value**2 / 2) / (len(nested) - 3))
    centre = math.atanh(min(max(value, -0.99), 0.99))
    low, high = math.tanh(centre - wide), math.tanh(centre + wide)
    return Estimate(value, min(low, value), max(high, value))


def public_noise(believed: Estimate, expected: Estimate, rows: int, public_rows: float) -> float:
    """The standard deviation of a score on the public rows, for a model that does not change.

    ``believed`` is the cross-validated figure, ``expected`` its interval for ``rows`` new rows:
    what the second has more than the first is those rows' own sampling error, which shrinks with
    the root of their number.
    """
    wide = (expected.high - expected.low) / 2
    narrow = (believed.high - believed.low) / 2
    return math.sqrt(max(wide**2 - narrow**2, 0.0)) / Z * math.sqrt(rows / public_rows)


def distinguishable(score: float, other: float, noise: float) -> bool:
    """Whether two public scores differ by more than 95 % of mere noise does.

    They count as if each had public rows of its own. They have the same, and errors in common, so
    that a smaller gap may be real, too; how much they have in common the predictions do not tell
    (docs/decisions.md).
    """
    return abs(score - other) > Z * math.sqrt(2) * noise


def similarity(a: NDArray[np.object_], b: NDArray[np.object_]) -> float:
    """How alike two submissions' cells (rows, columns) of text are, from −1 to 1.

    Numbers: the mean over the columns of their correlation. Labels: Cohen's kappa.
    """
    try:
        x, y = a.astype(float), b.astype(float)
    except ValueError:
        return float(np.mean([_kappa(p, q) for p, q in zip(a.T, b.T, strict=True)]))
    found = [
        float(np.corrcoef(p, q)[0, 1])
        for p, q in zip(x.T, y.T, strict=True)
        if p.std() > 0 and q.std() > 0
    ]
    return float(np.mean(found)) if found else 1.0


def choose_two(
    candidates: Sequence[Candidate],
    likeness: Callable[[str, str], float | None],
    *,
    greater_is_better: bool,
) -> tuple[tuple[str, str], ...]:
    """((name, why), …) of the two to select at the end; fewer if there are fewer.

    The best nested score; and of those that are within its standard error the one least like it
    (by ``likeness``, None where nobody knows). If none is, the next best. The public score has no
    say: it is the same evidence on fewer rows, and the best of many was also picked for its luck.
    """
    sign = 1 if greater_is_better else -1
    ranked = sorted(candidates, key=lambda one: (-sign * one.nested, one.name))
    chosen = [(one.name, "the best nested CV") for one in ranked[:1]]
    if len(ranked) < 2:
        return tuple(chosen)
    best, *others = ranked
    error = (best.high - best.low) / 2 / Z
    good = [one for one in others if sign * (best.nested - one.nested) <= error]
    alike = {one.name: likeness(best.name, one.name) for one in good}
    known = {name: value for name, value in alike.items() if value is not None}
    if not known:
        return (*chosen, (others[0].name, "the next best"))
    second = min(known, key=lambda name: known[name])
    return (*chosen, (second, f"as good within its error, and least like it: {known[second]:.2f}"))


def _kappa(a: NDArray[np.object_], b: NDArray[np.object_]) -> float:
    labels = sorted({*a, *b})
    agreed = float(np.mean(a == b))
    chance = sum(float(np.mean(a == one)) * float(np.mean(b == one)) for one in labels)
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)
