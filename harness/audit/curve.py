"""Would more pictures help? Errors against the number of training rows, and what they foretell.

A power law error = floor + scale × rows^−decay (Hestness et al. 2017; Viering & Loog 2022) is
fitted; its interval comes from fitting it again to resampled seeds. Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.audit.probe import Floats, linear, make_folds, predict

SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
SEEDS = 8
SAMPLES = 200
_DECAYS = np.linspace(0.1, 1.5, 29)

Errors = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Errors (seeds, shares) on held-out rows after learning from so many rows (shares,).

    ``by_class`` (seeds, shares, classes) are the errors of each class.
    """

    rows: NDArray[np.int64]
    errors: Errors
    by_class: Errors


@dataclass(frozen=True)
class Forecast:
    """An error at a number of rows, with its 95 % interval."""

    value: float
    low: float
    high: float


def measure(
    columns: Floats,
    target: NDArray[np.int64],
    classes: int,
    groups: NDArray[np.int64] | None = None,
    *,
    seeds: int = SEEDS,
    shares: tuple[float, ...] = SHARES,
    first_seed: int = 0,
) -> Curve:
    """Learn from growing shares of each class and score on a fifth that is held out each time."""
    errors = np.empty((seeds, len(shares)))
    by_class = np.full((seeds, len(shares), classes), np.nan)
    counts = np.zeros(len(shares))
    for seed in range(seeds):
        folds = make_folds(target, groups, seed=first_seed + seed)
        scored, pool = np.flatnonzero(folds == 0), np.flatnonzero(folds != 0)
        order = nested_order(target[pool], np.random.default_rng(first_seed + seed))
        for place, share in enumerate(shares):
            rows = pool[order < share]
            fitted = linear(columns[rows], target[rows])
            wrong = predict(fitted, columns[scored], classes).argmax(axis=1) != target[scored]
            errors[seed, place] = wrong.mean()
            counts[place] += len(rows) / seeds
            number = np.bincount(target[scored], minlength=classes)
            with np.errstate(invalid="ignore"):
                by_class[seed, place] = np.bincount(target[scored], wrong, classes) / number
    return Curve(np.rint(counts).astype(np.int64), errors, by_class)


def nested_order(target: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """When each row joins as the share grows from 0 to 1: (rows,), each class at the same pace.

    The first row of each class is there from the start.
    """
    joins = np.empty(len(target))
    for code in np.unique(target):
        rows = random.permutation(np.flatnonzero(target == code))
        joins[rows] = np.arange(len(rows)) / len(rows)
    return joins


def forecast(rows: NDArray[np.int64], errors: Errors, at: int, seed: int = 0) -> Forecast:
    """The mean error expected from ``at`` rows, by the power law through ``errors``.

    Each of ``SAMPLES`` fits sees seeds drawn with replacement and the curve's own scatter, so the
    interval holds for the mean over as many seeds.
    """
    random = np.random.default_rng(seed)
    mean = errors.mean(axis=0)
    fitted = fit(rows, mean)
    scatter = errors.std(axis=0, ddof=1).mean() / np.sqrt(len(errors)) if len(errors) > 1 else 0.0
    residual = float(np.sqrt(np.mean((mean - value(fitted, rows)) ** 2)))
    drawn = [
        value(fit(rows, errors[random.integers(0, len(errors), len(errors))].mean(axis=0)), at)
        + random.normal(0, np.hypot(scatter, residual))
        for _ in range(SAMPLES)
    ]
    middle = float(value(fitted, at))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Forecast(middle, min(float(low), middle), max(float(high), middle))


def fit(rows: NDArray[np.int64], errors: Errors) -> tuple[float, float, float]:
    """(floor, scale, decay) with the least squares; neither floor nor scale is negative."""
    from scipy.optimize import nnls

    best, found = np.inf, (float(errors.mean()), 0.0, 1.0)
    for decay in _DECAYS:
        power = (rows / rows[0]) ** -decay
        (floor, scale), left = nnls(np.column_stack([np.ones(len(rows)), power]), errors)
        if left < best:
            best, found = left, (floor, scale * rows[0] ** decay, float(decay))
    return found


def value(fitted: tuple[float, float, float], rows: NDArray[np.int64] | int) -> Errors:
    """The error at so many rows."""
    floor, scale, decay = fitted
    return np.asarray(floor + scale * np.asarray(rows, np.float64) ** -decay)


def gain_of_doubling(curve: Curve, seed: int = 0) -> Forecast:
    """How much the error falls if the rows are doubled, with its 95 % interval."""
    random = np.random.default_rng(seed)
    most = int(curve.rows[-1])

    def gain(errors: Errors) -> float:
        fitted = fit(curve.rows, errors.mean(axis=0))
        return float(value(fitted, most) - value(fitted, 2 * most))

    seeds = len(curve.errors)
    drawn = [gain(curve.errors[random.integers(0, seeds, seeds)]) for _ in range(SAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Forecast(gain(curve.errors), float(low), float(high))


def hungry_classes(curve: Curve, names: tuple[str, ...], count: int = 2) -> list[str]:
    """The classes whose error still falls most from half of the rows to all of them."""
    half = int(np.abs(curve.rows - curve.rows[-1] / 2).argmin())
    with np.errstate(invalid="ignore"):
        falls = np.nanmean(curve.by_class[:, half] - curve.by_class[:, -1], axis=0)
    order = np.argsort(-np.nan_to_num(falls), kind="stable")
    return [names[code] for code in order[:count] if falls[code] > 0]
