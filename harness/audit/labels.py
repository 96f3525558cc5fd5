"""Labels that are probably wrong, by confident learning (Northcutt et al. 2021). Pure.

cleanlab does the arithmetic; the probabilities must be out-of-fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Suspect:
    """A row whose label is doubted: its given and its likely class, as codes.

    ``doubt`` is what the given class's probability lacks to 1. ``confident`` rows are those that
    the confident joint counts as mistaken: their number estimates how many wrong labels there are.
    """

    row: int
    given: int
    likely: int
    doubt: float
    confident: bool


def suspects(target: NDArray[np.int64], probabilities: NDArray[np.floating]) -> list[Suspect]:
    """Rows whose label is not the most probable one, the most doubtful first.

    ``target`` (rows,) are class codes, ``probabilities`` (rows, classes) out-of-fold.
    """
    present = np.unique(target)
    if len(present) < 2:
        return []
    likely = probabilities.argmax(axis=1)
    doubt = 1 - probabilities[np.arange(len(target)), target]
    confident = np.zeros(len(target), np.bool_)
    confident[_confident(np.searchsorted(present, target), probabilities[:, present])] = True
    doubted = np.flatnonzero(likely != target)
    order = doubted[np.argsort(-doubt[doubted], kind="stable")]
    return [
        Suspect(row, int(target[row]), int(likely[row]), float(doubt[row]), bool(confident[row]))
        for row in order.tolist()
    ]


def average(members: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """The members' probabilities (rows, classes) averaged: errors that they share remain."""
    return np.mean(np.stack(members).astype(np.float64), axis=0)


def _confident(target: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.intp]:
    from cleanlab.filter import find_label_issues

    total = probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    found: NDArray[np.intp] = find_label_issues(
        target,
        probabilities / total,
        return_indices_ranked_by="self_confidence",
        filter_by="confident_learning",
        n_jobs=1,  # its processes cost more than they save
    )
    return found
