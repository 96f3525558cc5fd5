"""Competition metrics: name → function, direction, and what it scores.

Everywhere in the harness ``truth`` and ``predictions`` have these shapes, by task:

    binary, multiclass, ordinal   truth (rows,) class codes      predictions (rows, classes)
    multilabel                    truth (rows, labels) of 0/1    predictions (rows, labels)
    regression                    truth (rows,) values           predictions (rows, 1)

The direction is declared here and never guessed. scikit-learn does the arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, nearest

Array = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """A named score with its direction.

    ``needs`` says what the function looks at: ``probabilities`` (their values matter), ``ranks``
    (only their order), ``labels`` (only the class decided for) or ``values`` (regression).
    """

    name: str
    function: Callable[[Array, Array], float]
    greater_is_better: bool
    needs: Literal["probabilities", "ranks", "labels", "values"]

    def score(self, truth: Array, predictions: Array) -> float:
        """The score in the competition's own direction; NaN in ``predictions`` is an error."""
        if not np.isfinite(predictions).all():
            raise ValueError(f"{self.name}: predictions hold NaN or infinity")
        return float(self.function(truth, predictions))

    def loss(self, truth: Array, predictions: Array) -> float:
        """The score turned so that lower is better."""
        score = self.score(truth, predictions)
        return -score if self.greater_is_better else score

    def better(self, score: float, other: float) -> bool:
        """Whether ``score`` beats ``other``."""
        return score > other if self.greater_is_better else score < other


def get_metric(name: str) -> Metric:
    """The metric of that name; a ConfigError that suggests near names if there is none."""
    if name not in METRICS:
        raise ConfigError("metric", f"{name!r} is not a known metric", nearest(name, METRICS))
    return METRICS[name]


def _log_loss(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import log_loss

    if truth.ndim == 2:  # multilabel: the mean of the columns' binary log losses
        return float(
            np.mean([_binary_log_loss(t, p) for t, p in zip(truth.T, predictions.T, strict=True)])
        )
    classes = np.arange(predictions.shape[1])
    total = predictions.sum(axis=1, keepdims=True, dtype=np.float64)
    return float(log_loss(truth, predictions / total, labels=classes))


def _binary_log_loss(truth: Array, probability: Array) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(truth, probability.astype(np.float64), labels=[0, 1]))


def decide(predictions: Array) -> Array:
    """Class codes (rows,) of the most probable class; a tie goes to the lower code."""
    return predictions.argmax(axis=1)


def _accuracy(truth: Array, predictions: Array) -> float:
    if truth.ndim == 2:  # multilabel: the share of right cells
        return float(np.mean((predictions >= 0.5) == truth))
    return float(np.mean(truth == decide(predictions)))


def _balanced_accuracy(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import recall_score

    present = np.unique(truth)
    return float(
        recall_score(truth, decide(predictions), labels=present, average="macro", zero_division=0)
    )


def _f1_macro(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import f1_score

    decided = (predictions >= 0.5).astype(int) if truth.ndim == 2 else decide(predictions)
    return float(f1_score(truth, decided, average="macro", zero_division=0))


def _roc_auc(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import roc_auc_score

    if truth.ndim == 2:  # multilabel: mean column-wise
        return float(roc_auc_score(truth, predictions, average="macro"))
    if predictions.shape[1] == 2:
        return float(roc_auc_score(truth, predictions[:, 1]))
    one_hot = truth[:, None] == np.arange(predictions.shape[1])
    return float(roc_auc_score(one_hot, predictions, average="macro"))


def _quadratic_weighted_kappa(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import cohen_kappa_score

    classes = np.arange(predictions.shape[1])
    return float(cohen_kappa_score(truth, decide(predictions), labels=classes, weights="quadratic"))


def _brier(truth: Array, predictions: Array) -> float:
    if truth.ndim == 1:
        truth = truth[:, None] == np.arange(predictions.shape[1])
    return float(np.mean(np.sum((predictions - truth) ** 2, axis=1, dtype=np.float64)))


def _rmse(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(truth, predictions[:, 0]))


def _mae(truth: Array, predictions: Array) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predictions[:, 0]))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("log_loss", _log_loss, False, "probabilities"),
        Metric("brier", _brier, False, "probabilities"),
        Metric("roc_auc", _roc_auc, True, "ranks"),
        Metric("accuracy", _accuracy, True, "labels"),
        Metric("balanced_accuracy", _balanced_accuracy, True, "labels"),
        Metric("f1_macro", _f1_macro, True, "labels"),
        Metric("quadratic_weighted_kappa", _quadratic_weighted_kappa, True, "labels"),
        Metric("rmse", _rmse, False, "values"),
        Metric("mae", _mae, False, "values"),
    )
}
