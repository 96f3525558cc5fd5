"""The arithmetic of the metrics: truth and predictions (shapes in the package) → one number.

``row_…`` functions give a number a row, whose mean is the metric.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def decide(predictions: Array) -> Array:
    """Class codes (rows,) of the most probable class; a tie goes to the lower code."""
    return predictions.argmax(axis=1)


def guesses(predictions: Array, k: int) -> Array:
    """Codes (rows, k) of the most probable classes, best first; a tie goes to the lower code."""
    return np.argsort(-predictions, axis=1, kind="stable")[:, :k]


def columns_of(truth: Array, predictions: Array) -> list[tuple[Array, Array]]:
    """(whether it is true, its probability) (rows,) of every target that is ranked by itself.

    Of two classes the second is enough; of more, each is held against the rest.
    """
    if truth.ndim == 2:
        return [(t == 1, p) for t, p in zip(truth.T, predictions.T, strict=True)]
    if predictions.shape[1] == 2:
        return [(truth == 1, predictions[:, 1])]
    return [(truth == code, column) for code, column in enumerate(predictions.T)]


def log_loss(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import log_loss as sklearn_log_loss

    if truth.ndim == 2:  # multilabel: the mean of the columns' binary log losses
        probabilities = predictions.astype(np.float64)
        columns = zip(truth.T, probabilities.T, strict=True)
        return float(np.mean([sklearn_log_loss(t, p, labels=[0, 1]) for t, p in columns]))
    classes = np.arange(predictions.shape[1])
    total = predictions.sum(axis=1, keepdims=True, dtype=np.float64)
    return float(sklearn_log_loss(truth, predictions / total, labels=classes))


def row_brier(truth: Array, predictions: Array) -> Array:
    """Squared errors: of the second of two classes, summed over more, their mean over labels."""
    predictions = predictions.astype(np.float64)
    if truth.ndim == 2:
        return np.mean((predictions - truth) ** 2, axis=1)
    one_hot = truth[:, None] == np.arange(predictions.shape[1])
    if predictions.shape[1] == 2:
        predictions, one_hot = predictions[:, 1:], one_hot[:, 1:]
    return np.sum((predictions - one_hot) ** 2, axis=1)


def brier(truth: Array, predictions: Array) -> float:
    return float(row_brier(truth, predictions).mean())


def roc_auc(truth: Array, predictions: Array) -> float:
    """Area under the ROC curve; of several columns the mean over those with both kinds of row."""
    from sklearn.metrics import roc_auc_score

    columns = [(t, p) for t, p in columns_of(truth, predictions) if t.any() and not t.all()]
    return float(np.mean([roc_auc_score(t, p) for t, p in columns])) if columns else np.nan


def average_precision(truth: Array, predictions: Array) -> float:
    """Average precision; of several columns the mean over those that are ever true."""
    from sklearn.metrics import average_precision_score

    columns = [(t, p) for t, p in columns_of(truth, predictions) if t.any()]
    return (
        float(np.mean([average_precision_score(t, p) for t, p in columns])) if columns else np.nan
    )


def probabilistic_f1(truth: Array, predictions: Array) -> float:
    """F1 with probabilities in place of decisions (Yacouby and Axman 2020), as Kaggle has it."""
    second = predictions[:, 1].astype(np.float64)
    positive = truth == 1
    total = second.sum() + positive.sum()
    return float(2 * second[positive].sum() / total) if total else 0.0


def accuracy(truth: Array, predictions: Array) -> float:
    if truth.ndim == 2:  # multilabel: the share of right cells
        return float(np.mean((predictions >= 0.5) == truth))
    return float(np.mean(truth == decide(predictions)))


def balanced_accuracy(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import recall_score

    present = np.unique(truth)
    return float(
        recall_score(truth, decide(predictions), labels=present, average="macro", zero_division=0)
    )


def f1(truth: Array, predictions: Array) -> float:
    """F1 of the second of two classes."""
    return _f1(truth, predictions, "binary")


def f1_macro(truth: Array, predictions: Array) -> float:
    return _f1(truth, predictions, "macro")


def f1_micro(truth: Array, predictions: Array) -> float:
    return _f1(truth, predictions, "micro")


def f1_samples(truth: Array, predictions: Array) -> float:
    """Mean of the rows' F1; a row that has no label and is given none is right."""
    return _f1(truth, predictions, "samples", zero_division=1)


def _f1(truth: Array, predictions: Array, average: str, zero_division: int = 0) -> float:
    from sklearn.metrics import f1_score

    decided = (predictions >= 0.5).astype(int) if truth.ndim == 2 else decide(predictions)
    return float(f1_score(truth, decided, average=average, zero_division=zero_division))


def matthews(truth: Array, predictions: Array) -> float:
    """Matthews' correlation coefficient, of any number of classes (Gorodkin 2004)."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(truth, decide(predictions)))


def quadratic_weighted_kappa(truth: Array, predictions: Array) -> float:
    """Cohen's kappa with squared distances; NaN where there is a single class."""
    decided = decide(predictions).astype(np.float64)
    # what chance would miss by, as if either were shuffled
    chance = np.mean(decided**2) + np.mean(truth**2.0) - 2 * decided.mean() * truth.mean()
    missed = np.mean((truth - decided) ** 2)
    return float(1 - missed / chance) if chance > 1e-12 else np.nan


def row_precision_at(truth: Array, predictions: Array, k: int) -> Array:
    """Average precision of each row's first ``k`` guesses, as Kaggle has it; without labels 0."""
    if truth.ndim == 1:
        truth = truth[:, None] == np.arange(predictions.shape[1])
    hit = np.take_along_axis(truth, guesses(predictions, k), axis=1).astype(np.float64)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    return np.sum(precision * hit, axis=1) / np.clip(truth.sum(axis=1), 1, k)


def row_hit(truth: Array, predictions: Array, k: int) -> Array:
    """1 where the true class is among the first ``k`` guesses, else 0."""
    return (guesses(predictions, k) == truth[:, None]).any(axis=1).astype(np.float64)


def rmse(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(truth, predictions[:, 0]))


def mae(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predictions[:, 0]))
