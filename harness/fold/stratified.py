"""Dealing single rows to folds so that every stratum is spread evenly: pure."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fold.keys import Keys

Ints = NDArray[np.int64]
Folds = NDArray[np.int16]

UNPLACED = -2  # in ``placed`` arrays: this row still has to be given a fold
_MOST_BINS = 10


def deal(
    strata: NDArray[Any],
    keys: Keys,
    weights: Sequence[int],
    placed: Folds,
    *,
    within: Ints | None = None,
) -> Folds:
    """Give every row that is ``UNPLACED`` a fold; the others stay.

    Strata (codes from 0, shape (rows,)) are visited in the order of their smallest key, so their
    codes mean nothing. Inside one, each fold's number of new rows is :func:`apportion`-ed. Rows in
    the order of their keys then go to one fold after the other; with ``within``, rows in that
    order (then of their keys) get folds that are evenly :func:`spread`. ``weights`` are the folds'
    shares: equal for folds, not for a holdout.
    """
    folds = placed.copy()
    new = np.flatnonzero(placed == UNPLACED)
    if len(new) == 0:
        return folds
    count = int(strata.max()) + 1
    old = np.flatnonzero(placed != UNPLACED)
    existing = np.bincount(
        strata[old].astype(np.int64) * len(weights) + placed[old], minlength=count * len(weights)
    ).reshape(count, len(weights))
    totals: list[int] = existing.sum(axis=0).tolist()

    for code, rows in _by_stratum(strata, keys, new):
        quotas = apportion(existing[code].tolist(), len(rows), weights, totals)
        if within is None:
            folds[rows] = _cut(keys[rows], quotas)
        else:
            folds[rows[np.lexsort((keys[rows], within[rows]))]] = spread(quotas)
        totals = [total + quota for total, quota in zip(totals, quotas, strict=True)]
    return folds


def _by_stratum(strata: NDArray[Any], keys: Keys, rows: Ints) -> Iterator[tuple[int, Ints]]:
    """Each stratum's code and rows, the stratum with the smallest key first."""
    count = int(strata.max()) + 1
    small = strata[rows].astype(np.min_scalar_type(count))  # small integers sort in linear time
    order = rows[np.argsort(small, kind="stable")]
    ends = np.cumsum(np.bincount(small, minlength=count))
    smallest = smallest_keys(small, keys[rows], count)
    for code in np.argsort(smallest, kind="stable").tolist():
        members = order[ends[code - 1] if code else 0 : ends[code]]
        if len(members):
            yield code, members


def _cut(keys: Keys, quotas: Sequence[int]) -> Ints:
    """The fold of each key when, in their order, one fold after the other takes its quota."""
    ends = np.cumsum(quotas)[:-1]
    ends = ends[ends < len(keys)]
    # The first key of each next fold, without sorting all.
    firsts = np.partition(keys, ends)[ends] if len(ends) else keys[:0]
    return np.searchsorted(firsts, keys, side="right")


def smallest_keys(codes: NDArray[Any], keys: Keys, count: int) -> Keys:
    """The smallest key among the rows of each code: (count,). It orders codes by content."""
    smallest = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, codes, keys)
    return smallest


def apportion(
    existing: Sequence[int], new: int, weights: Sequence[int], totals: Sequence[int]
) -> list[int]:
    """How many of ``new`` rows each fold gets, so that a stratum ends up as even as it can be.

    Like water poured over the ``existing`` counts: the emptiest folds (for their weight) fill up
    first, to one level. What is left after rounding down, at most one row a fold, goes where
    ``totals`` (the rows in each fold so far) lie furthest below their share; ties to the lower
    fold. With equal weights and nothing existing, folds differ by at most 1 in each stratum, and
    by at most 1 in total over any number of strata dealt one after another.
    """
    folds = sorted(range(len(weights)), key=lambda fold: existing[fold] / weights[fold])
    wet: list[int] = []
    water, width = new, 0
    for fold in folds:
        # Would the level stand above this fold's ground? Compared without a division.
        if width and existing[fold] * width >= weights[fold] * water:
            break
        wet.append(fold)
        water += existing[fold]
        width += weights[fold]
    quotas = [0] * len(weights)
    for fold in wet:
        quotas[fold] = weights[fold] * water // width - existing[fold]
    left = new - sum(quotas)
    filled = [total + quota for total, quota in zip(totals, quotas, strict=True)]
    rows, weight = sum(filled) + left, sum(weights)
    rounded_down = [fold for fold in wet if weights[fold] * water % width]
    rounded_down.sort(key=lambda fold: (weight * filled[fold] - weights[fold] * rows, fold))
    for fold in rounded_down[:left]:
        quotas[fold] += 1
    return quotas


def spread(quotas: Sequence[int]) -> Ints:
    """Each fold as often as its quota says, as evenly over the sequence as can be.

    >>> spread([2, 2, 2]).tolist(), spread([1, 4]).tolist()
    ([0, 1, 2, 0, 1, 2], [1, 1, 0, 1, 1])
    """
    places = [(np.arange(quota) + 0.5) / quota for quota in quotas if quota]
    folds = [np.full(quota, fold) for fold, quota in enumerate(quotas) if quota]
    return np.concatenate(folds)[np.argsort(np.concatenate(places), kind="stable")]


def quantile_bins(values: NDArray[np.floating[Any]], k: int) -> Ints:
    """Codes (rows,) of at most ten bins of neighbouring values, each with at least ``k`` rows.

    Equal values share a bin, so a bin can hold more than a tenth of the rows.
    """
    distinct, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    upto = np.cumsum(counts)
    size = max(k, -(-len(values) // _MOST_BINS))
    ends: list[int] = []  # one past the last distinct value of each bin
    while not ends or ends[-1] < len(distinct):
        before = int(upto[ends[-1] - 1]) if ends else 0
        ends.append(min(int(np.searchsorted(upto, before + size)) + 1, len(distinct)))
    rows_in_last = int(upto[-1]) - (int(upto[ends[-2] - 1]) if len(ends) > 1 else 0)
    if rows_in_last < k and len(ends) > 1:
        ends.pop(-2)
    bin_of_value = np.searchsorted(ends, np.arange(len(distinct)), side="right")
    return bin_of_value[codes]
