"""Metrics under row weights, so that a bootstrap is a matrix product and not a thousand copies.

A bootstrap sample is a vector of counts, one a row. Every metric of ``harness.metrics`` has a
form that takes such counts; a metric of the user's own is scored on repeated rows.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from harness.errors import ConfigError
from harness.metrics import Metric, decide
from harness.metrics.functions import columns_of, row_brier, row_hit, row_precision_at
from harness.stack.problem import Array, Problem

Scorer = Callable[[Array], Array]
"""Counts (samples, rows) → scores (samples,); NaN where a sample leaves the metric undefined."""

COUNTS_AT_ONCE = 1 << 17
"""Numbers in a block of counts: what fits a processor's cache beside the predictions."""
SMALLEST = float(np.finfo(np.float64).eps)  # where scikit-learn's log_loss clips


def bootstrap_scores(
    problem: Problem, predictions: Sequence[Array], rows: Array | slice, samples: int, seed: int
) -> tuple[Array, Array]:
    """(several,) scores on ``rows`` and (samples, several) under the same bootstrap samples.

    Each of ``predictions`` is (all rows, targets). Samples that leave the metric undefined (a
    class that was not drawn) are left out.
    """
    groups = None if problem.groups is None else problem.groups[rows]
    parts = [one[rows] for one in predictions]
    return paired_scores(problem.metric, problem.truth[rows], groups, parts, samples, seed)


def paired_scores(
    metric: Metric,
    truth: Array,
    groups: Array | None,
    predictions: Sequence[Array],
    samples: int,
    seed: int,
) -> tuple[Array, Array]:
    """As ``bootstrap_scores``, for predictions (rows, targets) of exactly these rows."""
    scorers = [scorer(metric, truth, one) for one in predictions]
    once = np.ones((1, len(truth)), dtype=np.float32)
    blocks = [
        np.stack([score(counts) for score in scorers], axis=1)
        for counts in bootstrap_counts(len(truth), groups, samples, seed)
    ]
    drawn = np.concatenate(blocks)
    defined = ~np.isnan(drawn).any(axis=1)
    return np.array([score(once)[0] for score in scorers]), drawn[defined]


def bootstrap_counts(rows: int, groups: Array | None, samples: int, seed: int) -> Iterator[Array]:
    """Blocks (some samples, rows) of how often each row is drawn; whole groups where given."""
    generator = np.random.default_rng(seed)
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]
    units = rows if codes is None else int(codes.max()) + 1
    block = max(1, min(samples, COUNTS_AT_ONCE // rows))
    for start in range(0, samples, block):
        counts = np.stack(
            [
                np.bincount(generator.integers(0, units, units), minlength=units)
                for _ in range(min(block, samples - start))
            ]
        ).astype(np.float32)
        yield counts if codes is None else counts[:, codes]


def scorer(metric: Metric, truth: Array, predictions: Array) -> Scorer:
    """What scores these predictions under row counts, in the metric's own direction."""
    if metric.family in ROW_METRICS:
        values = row_values(metric, truth, predictions)
        root = metric.name == "rmse"
        return lambda counts: _mean(counts, values, root)
    if truth.ndim == 1 and metric.name in CONFUSION_METRICS:
        return _confusion_scorer(CONFUSION_METRICS[metric.name], truth, predictions)
    if metric.name == "roc_auc":
        return _column_scorer(_column_area, truth, predictions)
    if metric.name == "average_precision":
        return _column_scorer(_column_precision, truth, predictions)
    if metric.name in ("f1_micro", "f1_macro"):
        return _label_f1_scorer(metric.name, truth, predictions)
    if metric.name == "pf1":
        return _probabilistic_f1_scorer(truth, predictions)
    return lambda counts: _repeated(metric, truth, predictions, counts)


ROW_METRICS = frozenset(
    {
        *("log_loss", "brier", "accuracy", "f1_samples", "rmse", "mae"),
        *("map", "top_accuracy", "top_error"),
    }
)
"""Families of metrics that are a mean over rows, or its root."""


def row_values(metric: Metric, truth: Array, predictions: Array) -> Array:
    """(rows,) float64 whose mean is the metric (its square for RMSE), if it has such values."""
    match metric.family:
        case "accuracy":
            right = (
                (predictions >= 0.5) == truth if truth.ndim == 2 else decide(predictions) == truth
            )
            return right.reshape(len(truth), -1).mean(axis=1)
        case "f1_samples":
            decided = predictions >= 0.5
            either = truth.sum(axis=1) + decided.sum(axis=1)
            right = (decided & (truth == 1)).sum(axis=1)
            return np.where(either == 0, 1.0, 2 * right / np.maximum(either, 1))
        case "map":
            return row_precision_at(truth, predictions, metric.k or 1)
        case "top_accuracy":
            return row_hit(truth, predictions, metric.k or 1)
        case "top_error":
            return 1 - row_hit(truth, predictions, metric.k or 1)
        case "log_loss":
            return _row_log_loss(truth, predictions.astype(np.float64))
        case "brier":
            return row_brier(truth, predictions)
        case "rmse":
            return (predictions[:, 0].astype(np.float64) - truth) ** 2
        case "mae":
            return np.abs(predictions[:, 0].astype(np.float64) - truth)
    raise ValueError(f"{metric.name} is not a mean over rows")


def _row_log_loss(truth: Array, predictions: Array) -> Array:
    if truth.ndim == 2:
        right = np.where(truth == 1, predictions, 1 - predictions)
        return -np.log(np.clip(right, SMALLEST, 1 - SMALLEST)).mean(axis=1)
    right = predictions[np.arange(len(truth)), truth] / predictions.sum(axis=1)
    return -np.log(np.clip(right, SMALLEST, 1 - SMALLEST))


def _mean(counts: Array, values: Array, root: bool) -> Array:
    means = counts @ values / counts.sum(axis=1, dtype=np.float64)
    return np.sqrt(means) if root else means


def _confusion_scorer(of_confusion: Scorer, truth: Array, predictions: Array) -> Scorer:
    classes = predictions.shape[1]
    cells = truth * classes + decide(predictions)

    def score(counts: Array) -> Array:
        tables = np.stack([np.bincount(cells, row, minlength=classes**2) for row in counts])
        return of_confusion(tables.reshape(-1, classes, classes))

    return score


def _accuracy(tables: Array) -> Array:
    return np.asarray(np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2)))


def _balanced_accuracy(tables: Array) -> Array:
    size = tables.sum(axis=2)
    recall = np.diagonal(tables, axis1=1, axis2=2) / np.maximum(size, 1e-12)
    return recall.sum(axis=1) / np.count_nonzero(size, axis=1)


def _f1_macro(tables: Array) -> Array:
    right = np.diagonal(tables, axis1=1, axis2=2)
    either = tables.sum(axis=1) + tables.sum(axis=2)
    f1 = 2 * right / np.maximum(either, 1e-12)
    return f1.sum(axis=1) / np.count_nonzero(either, axis=1)


def _f1(tables: Array) -> Array:
    either = tables[:, 1].sum(axis=1) + tables[:, :, 1].sum(axis=1)
    return 2 * tables[:, 1, 1] / np.maximum(either, 1e-12)


def _matthews(tables: Array) -> Array:
    total, right = tables.sum(axis=(1, 2)), np.trace(tables, axis1=1, axis2=2)
    true, decided = tables.sum(axis=2), tables.sum(axis=1)
    spread = [total**2 - np.sum(margin**2, axis=1) for margin in (true, decided)]
    both = np.sqrt(spread[0] * spread[1])
    covariance = right * total - np.sum(true * decided, axis=1)
    return np.asarray(np.where(both > 0, covariance / np.maximum(both, 1e-12), 0.0))


def _quadratic_weighted_kappa(tables: Array) -> Array:
    classes = np.arange(tables.shape[1])
    distance = (classes[:, None] - classes) ** 2
    chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    expected = np.sum(chance * distance, axis=(1, 2)) / tables.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - np.sum(tables * distance, axis=(1, 2)) / expected


CONFUSION_METRICS: dict[str, Scorer] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "f1_micro": _accuracy,
    "mcc": _matthews,
    "quadratic_weighted_kappa": _quadratic_weighted_kappa,
}
"""Confusion tables (samples, truth, decided) → scores (samples,)."""


def _column_scorer(
    of_column: Callable[[Array, Array], Scorer], truth: Array, predictions: Array
) -> Scorer:
    """The mean over the columns for which a sample has a score."""
    each = [of_column(positive, column) for positive, column in columns_of(truth, predictions)]

    def score(counts: Array) -> Array:
        scores = np.stack([one(counts) for one in each])
        known = ~np.isnan(scores)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, scores, 0).sum(axis=0) / known.sum(axis=0))

    return score


def _column_area(positive: Array, column: Array) -> Scorer:
    """Area under the ROC curve of one column."""
    order = np.argsort(column)
    ordered = column[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    positive = positive[order]

    def score(counts: Array) -> Array:
        drawn = counts[:, order].astype(np.float64)
        ones, zeros = drawn * positive, drawn * ~positive
        if len(first) < len(order):  # rows that tie count as half above each other
            ones, zeros = np.add.reduceat(ones, first, 1), np.add.reduceat(zeros, first, 1)
        below = np.cumsum(zeros, axis=1) - zeros / 2
        pairs = ones.sum(axis=1) * zeros.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sum(ones * below, axis=1) / pairs)

    return score


def _column_precision(positive: Array, column: Array) -> Scorer:
    """Average precision of one column."""
    order = np.argsort(-column, kind="stable")
    ordered = column[order]
    last = np.flatnonzero(np.concatenate([ordered[1:] != ordered[:-1], [True]]))
    positive = positive[order]

    def score(counts: Array) -> Array:
        drawn = counts[:, order].astype(np.float64)
        # rows that tie are taken together
        above, right = (
            np.cumsum(drawn, axis=1)[:, last],
            np.cumsum(drawn * positive, axis=1)[:, last],
        )
        gained = np.diff(right, axis=1, prepend=0.0)
        precision = right / np.maximum(above, 1e-12)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sum(gained * precision, axis=1) / right[:, -1])

    return score


def _label_f1_scorer(name: str, truth: Array, predictions: Array) -> Scorer:
    decided, true = predictions >= 0.5, truth == 1
    right = (decided & true).astype(np.float64)
    either = decided.astype(np.float64) + true

    def score(counts: Array) -> Array:
        rights, eithers = counts @ right, counts @ either
        if name == "f1_micro":
            rights, eithers = rights.sum(axis=1, keepdims=True), eithers.sum(axis=1, keepdims=True)
        return np.asarray((2 * rights / np.maximum(eithers, 1e-12)).mean(axis=1))

    return score


def _probabilistic_f1_scorer(truth: Array, predictions: Array) -> Scorer:
    second, positive = predictions[:, 1].astype(np.float64), (truth == 1).astype(np.float64)

    def score(counts: Array) -> Array:
        total = counts @ (second + positive)
        return np.asarray(2 * (counts @ (second * positive)) / np.maximum(total, 1e-300))

    return score


def _repeated(metric: Metric, truth: Array, predictions: Array, counts: Array) -> Array:
    scores = np.full(len(counts), np.nan)
    for sample, row in enumerate(counts):
        drawn = np.repeat(np.arange(len(row)), row.astype(np.intp))
        try:
            scores[sample] = metric.score(truth[drawn], predictions[drawn])
        except ConfigError:  # it has no value on this sample, such as one without some class
            continue
    return scores
