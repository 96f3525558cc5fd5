"""Which rows make which batch of which epoch: a function of the seed. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


def epoch_batches(rows: Rows, count: int, seed: int, epoch: int, drawn: Any = None) -> list[Rows]:
    """``rows`` shuffled for that epoch, in ``count`` batches of nearly equal size.

    A small last batch would give BatchNorm a poor estimate, and one of a single row none at all.
    With ``drawn``, the probability of each row, as many are drawn with replacement instead.
    """
    random = np.random.default_rng([seed, epoch])
    if drawn is None:
        order = random.permutation(rows)
    else:
        order = random.choice(rows, size=len(rows), p=drawn)
    return np.array_split(order, count)


def class_weights(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """One weight a class, inverse to its share of the rows (rows, classes); a row's mean is 1."""
    share = targets.mean(axis=0)
    present = share > 0
    return np.where(present, 1 / (present.sum() * np.where(present, share, 1)), 0).astype(
        np.float32
    )


def balanced(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability of drawing each row with which every class is drawn equally often.

    Rows without any label are one more class: they teach when to answer nothing.
    """
    without = targets.sum(axis=1, keepdims=True) < 0.5
    targets = np.concatenate([targets, without.astype(np.float32)], axis=1)
    weight = (targets @ class_weights(targets)).astype(np.float64)
    return weight / weight.sum()
