"""Linear probes: a logistic head on a frozen backbone's features. Pure."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.predict.head import activate

NARROW = 0.1
"""No feature's spread counts as less than this share of the mean spread."""


@dataclass(frozen=True)
class Head:
    """A linear layer: logits = features @ weight.T + bias, with the strength that was chosen."""

    weight: NDArray[np.float32]  # (targets, features)
    bias: NDArray[np.float32]  # (targets,)
    strength: float

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The layer as its weights file holds it."""
        return {"weight": self.weight, "bias": self.bias}


def fit_head(
    features: NDArray[np.float32],
    target: NDArray[Any],
    targets: int,
    inner: NDArray[np.bool_],
    strengths: Sequence[float],
    task: str = "multiclass",
    weights: NDArray[np.float32] | None = None,
) -> Head:
    """A linear head on standardised features (rows, features): logistic, or ridge for values.

    ``strengths`` are inverse L2 penalties; the one with the least loss on the ``inner`` rows,
    when fitted on the others, is fitted again on all. The rows given here are those of the
    training folds only, so nothing is chosen on the fold that is scored. ``weights`` (rows,) are
    what a row counts in fitting.
    """
    weights = np.ones(len(features), np.float32) if weights is None else weights
    best = strengths[0]
    if len(strengths) > 1:
        losses = [
            _loss(
                _fit(features[~inner], target[~inner], weights[~inner], targets, c, task),
                features[inner],
                target[inner],
                task,
            )
            for c in strengths
        ]
        best = strengths[int(np.argmin(losses))]
    return _fit(features, target, weights, targets, best, task)


def apply_head(
    head: Head, features: NDArray[np.float32], task: str = "multiclass"
) -> NDArray[np.float32]:
    """Predictions (rows, targets), see harness.metrics."""
    return activate(features @ head.weight.T + head.bias, task)


def _fit(
    features: NDArray[np.float32],
    target: NDArray[Any],
    weights: NDArray[np.float32],
    targets: int,
    strength: float,
    task: str,
) -> Head:
    mean, spread = features.mean(axis=0), features.std(axis=0)
    # else a feature that is 0 in nearly all of these rows makes one of 0.5 in a new picture
    # thousands of standard deviations, and its prediction absurd
    spread = np.maximum(spread, NARROW * spread.mean()) + 1e-6
    standard = (features - mean) / spread
    if task == "regression":
        weight, bias = _ridge(standard, target, weights, strength)
    elif task == "multilabel":
        columns = [_binary(standard, target[:, i], weights, strength) for i in range(targets)]
        weight = np.stack([weight for weight, _ in columns])
        bias = np.array([bias for _, bias in columns])
    else:
        weight, bias = _all_classes(_logistic(standard, target, weights, strength), targets)
    weight = weight / spread  # the standardisation becomes part of the layer
    return Head(
        weight.astype(np.float32), (bias - weight @ mean).astype(np.float32), float(strength)
    )


def _logistic(
    standard: NDArray[np.float32],
    target: NDArray[Any],
    weights: NDArray[np.float32],
    strength: float,
) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # products of this shape take a third of the time on one thread
    with warnings.catch_warnings(), threadpool_limits(1):
        # a head that is not quite at the optimum is a regularised head
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=100, tol=1e-3).fit(standard, target, weights)


def _binary(
    standard: NDArray[np.float32],
    target: NDArray[Any],
    weights: NDArray[np.float32],
    strength: float,
) -> tuple[NDArray[Any], float]:
    """One label's weights and bias; a label that all rows share, or none, needs no features."""
    share = float(target.mean())
    if share in (0.0, 1.0):
        odds = (len(target) * share + 0.5) / (len(target) * (1 - share) + 0.5)
        return np.zeros(standard.shape[1]), float(np.log(odds))
    fitted = _logistic(standard, target, weights, strength)
    return fitted.coef_[0], float(fitted.intercept_[0])


def _ridge(
    standard: NDArray[np.float32],
    target: NDArray[Any],
    weights: NDArray[np.float32],
    strength: float,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """A ridge regression; its penalty counts in rows, so that ``strengths`` mean what they do."""
    from sklearn.linear_model import Ridge

    fitted = Ridge(alpha=1 / strength).fit(standard, target, weights)
    return fitted.coef_.reshape(1, -1), np.atleast_1d(fitted.intercept_)


def _all_classes(fitted: Any, targets: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """scikit-learn's coefficients as a layer with one output for each of the targets.

    For two classes it keeps one row (the log odds of the second); a class without rows has none,
    and gets a bias that makes it improbable.
    """
    weight, bias = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    full = np.zeros((targets, weight.shape[1]), weight.dtype)
    offsets = np.full(targets, bias.min() - 10, weight.dtype)
    full[fitted.classes_], offsets[fitted.classes_] = weight, bias
    return full, offsets


def _loss(head: Head, features: NDArray[np.float32], target: NDArray[Any], task: str) -> float:
    """Log loss, or the mean square for values."""
    predicted = apply_head(head, features, task).astype(np.float64)
    if task == "regression":
        return float(np.mean((predicted[:, 0] - target) ** 2))
    if task == "multilabel":
        right = np.where(target == 1, predicted, 1 - predicted)
    else:
        right = predicted[np.arange(len(target)), target]
    return float(-np.log(np.maximum(right, 1e-12)).mean())
