"""Small classifiers that say what can be learnt from a few columns. Pure.

Rows and targets are as harness.metrics has them for tasks with one class an image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Classifier = Callable[[Floats, NDArray[np.int64], NDArray[np.float64] | None], Any]
"""(columns, classes, weights or None) → a fitted scikit-learn classifier."""

CLASSIFIED = ("binary", "multiclass", "ordinal")
"""The tasks whose images have one class each, which is what probes learn."""
WIDTH = 128
"""Principal components that features are reduced to, so that a probe takes a moment."""

MOST_FITTED = 8192
"""Rows that the components are found from."""
_AT_ONCE = 4096


def linear(columns: Floats, target: NDArray[np.int64], weight: Any = None) -> Any:
    """Logistic regression on columns of about equal spread."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # products of this shape take a third of the time on one thread
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=0.03, max_iter=200).fit(columns, target, weight)


def trees(columns: Floats, target: NDArray[np.int64], weight: Any = None) -> Any:
    """Extremely randomised trees: they need no scaling and see what is not linear."""
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=0)
    return forest.fit(columns, target, weight)


def reducer(features: NDArray[np.floating]) -> Callable[[NDArray[np.floating]], Floats]:
    """What brings features (rows, width) to at most ``WIDTH`` principal components of these.

    No label is looked at, so the folds stay honest.
    """
    from sklearn.decomposition import PCA

    sample = features[np.random.default_rng(0).permutation(len(features))[:MOST_FITTED]]
    sample = sample.astype(np.float32)
    mean, spread = sample.mean(axis=0), sample.std(axis=0) + 1e-6
    sample = (sample - mean) / spread
    fitted = PCA(min(WIDTH, *sample.shape), svd_solver="randomized", random_state=0).fit(sample)
    # on the average a component then has a variance of 1, and the first ones have more
    scale = np.sqrt(fitted.explained_variance_.mean()) + 1e-12

    def reduce(others: NDArray[np.floating]) -> Floats:
        blocks = np.array_split(others, -(-len(others) // _AT_ONCE) or 1)
        parts = [fitted.transform((block - mean) / spread) / scale for block in blocks]
        return np.concatenate(parts).astype(np.float32)

    return reduce


def predict(fitted: Any, columns: Floats, classes: int) -> NDArray[np.float64]:
    """Probabilities (rows, classes); a class that was not there to learn from gets none."""
    probabilities = np.full((len(columns), classes), 1e-6)
    probabilities[:, fitted.classes_] += fitted.predict_proba(columns)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Question:
    """What is to be learnt: class codes (rows,) of ``classes``, by ``folds`` (rows,) from 0."""

    target: NDArray[np.int64]
    classes: int
    folds: NDArray[np.int64]

    def out_of_fold(self, columns: Floats, classifier: Classifier = linear) -> NDArray[np.float64]:
        """Probabilities (rows, classes) for each fold by what was learnt from the others."""
        predicted = np.zeros((len(columns), self.classes))
        for fold in np.unique(self.folds):
            inside = self.folds == fold
            fitted = classifier(columns[~inside], self.target[~inside], None)
            predicted[inside] = predict(fitted, columns[inside], self.classes)
        return predicted


def make_folds(
    target: NDArray[np.int64], groups: NDArray[np.int64] | None, k: int = 5, seed: int = 0
) -> NDArray[np.int64]:
    """Stratified folds (rows,) for a look at the data, groups kept together where given."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(k, shuffle=True, random_state=seed)
    folds = np.zeros(len(target), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
        for number, (_, rows) in enumerate(splitter.split(target, target, groups)):
            folds[rows] = number
    return folds


def accuracy(target: NDArray[np.int64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the most probable class is right, else 0: (rows,)."""
    return np.asarray(predicted.argmax(axis=1) == target, np.float64)


def mean_interval(
    values: NDArray[np.float64], groups: NDArray[np.int64] | None = None
) -> tuple[float, float, float]:
    """The mean with its 95 % interval; with groups (rows,) it is they that were drawn."""
    mean = float(values.mean())
    residual = values - mean
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        residual = np.bincount(codes, residual).astype(np.float64)
    half = 1.96 * float(np.sqrt((residual**2).sum())) / len(values)
    return mean, mean - half, mean + half
