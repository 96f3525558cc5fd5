"""Linear probes: a logistic head on a frozen backbone's features. Pure."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Head:
    """A linear layer: logits = features @ weight.T + bias, with the strength that was chosen."""

    weight: NDArray[np.float32]  # (targets, features)
    bias: NDArray[np.float32]  # (targets,)
    strength: float


def fit_head(
    features: NDArray[np.float32],
    target: NDArray[np.int64],
    targets: int,
    inner: NDArray[np.bool_],
    strengths: Sequence[float],
) -> Head:
    """Multinomial logistic regression on standardised features (rows, features).

    ``strengths`` are inverse L2 penalties; the one with the best log loss on the ``inner`` rows,
    when fitted on the others, is fitted again on all. The rows given here are those of the
    training folds only, so nothing is chosen on the fold that is scored.
    """
    best = strengths[0]
    if len(strengths) > 1:
        losses = [
            _log_loss(
                _fit(features[~inner], target[~inner], targets, c), features[inner], target[inner]
            )
            for c in strengths
        ]
        best = strengths[int(np.argmin(losses))]
    return _fit(features, target, targets, best)


def apply_head(head: Head, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (rows, targets)."""
    from scipy.special import softmax

    return softmax(features @ head.weight.T + head.bias, axis=1)


def _fit(
    features: NDArray[np.float32], target: NDArray[np.int64], targets: int, strength: float
) -> Head:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    # products of this shape take a third of the time on one thread
    with warnings.catch_warnings(), threadpool_limits(1):
        # a head that is not quite at the optimum is a regularised head
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted: Any = LogisticRegression(C=strength, max_iter=100, tol=1e-3).fit(
            (features - mean) / spread, target
        )
    weight, bias = _all_classes(fitted, targets)
    weight = weight / spread  # the standardisation becomes part of the layer
    return Head(
        weight.astype(np.float32), (bias - weight @ mean).astype(np.float32), float(strength)
    )


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


def _log_loss(head: Head, features: NDArray[np.float32], target: NDArray[np.int64]) -> float:
    probability = apply_head(head, features)[np.arange(len(target)), target]
    return float(-np.log(np.maximum(probability, 1e-12)).mean())
