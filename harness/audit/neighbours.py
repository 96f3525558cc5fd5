"""Nearest neighbours in less than quadratic time: cells around centres, the nearest few searched.

The inverted file of Sivic & Zisserman (2003): √rows cells, so searching takes rows^1.5. Pure.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

EXACT = 4096
"""Up to so many rows are compared with one another: one cell."""
PROBES = 8
_STEPS = 8
_QUERIES = 4096


@np.errstate(invalid="ignore")  # some BLAS kernels raise it at random (docs/decisions.md)
def nearest_pairs(
    vectors: Floats, count: int, floor: float, *, variants: Iterable[Floats] = (), seed: int = 0
) -> Ints:
    """Pairs (pairs, 2) of rows, the lower first, one of the other's ``count`` nearest.

    ``vectors`` (rows, width) have unit length; pairs below the cosine ``floor`` are left out. Each
    of ``variants`` (rows, width) asks again: what is nearest to the row if it were like this?
    """
    rows = len(vectors)
    if rows < 2:
        return np.empty((0, 2), np.int64)
    vectors = np.ascontiguousarray(vectors, np.float32)
    cells = 1 if rows <= EXACT else round(rows**0.5)
    centres = _centres(vectors, cells, np.random.default_rng(seed))
    home = _nearest_centres(vectors, centres, 1)[:, 0]
    members = [np.flatnonzero(home == cell) for cell in range(cells)]
    pairs = [
        _pairs(asking, vectors, centres, members, count, floor)
        for asking in chain([vectors], variants)
    ]
    return np.unique(np.concatenate(pairs), axis=0)


def _pairs(
    asking: Floats, vectors: Floats, centres: Floats, members: list[Ints], count: int, floor: float
) -> Ints:
    """Each asking row with its ``count`` nearest others among ``vectors``, the lower first."""
    probes = _nearest_centres(asking, centres, min(PROBES, len(centres)))
    asked = [np.flatnonzero((probes == cell).any(axis=1)) for cell in range(len(centres))]
    found = [
        _search(asking, vectors, inside, rows, count, floor)
        for inside, rows in zip(members, asked, strict=True)
        if len(inside)
    ]
    row, other, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((other, -cosine, row))
    row, other = row[order], other[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)  # 0 for each row's nearest
    row, other = row[place < count], other[place < count]
    return np.column_stack([np.minimum(row, other), np.maximum(row, other)])


def _centres(vectors: Floats, cells: int, random: np.random.Generator) -> Floats:
    """k-means on a sample of 64 rows a cell; directions, not means, are what cosines need."""
    sample = vectors[random.permutation(len(vectors))[: 64 * cells]]
    centres = sample[:cells]
    for _ in range(_STEPS if cells > 1 else 0):
        nearest = _nearest_centres(sample, centres, 1)[:, 0]
        total = np.zeros_like(centres)
        np.add.at(total, nearest, sample)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        centres = np.where(length > 0, total / np.maximum(length, 1e-12), centres)
    return centres


def _nearest_centres(vectors: Floats, centres: Floats, count: int) -> NDArray[np.int32]:
    """The ``count`` nearest cells of each row, the nearest first: (rows, count)."""
    nearest = np.empty((len(vectors), count), np.int32)
    for start in range(0, len(vectors), _QUERIES):
        block = slice(start, start + _QUERIES)
        nearest[block] = _largest(vectors[block] @ centres.T, count)
    return nearest


def _search(
    asking: Floats, vectors: Floats, members: Ints, queries: Ints, count: int, floor: float
) -> tuple[Ints, Ints, Floats]:
    """(query rows, member rows, cosines): each query's nearest members of one cell."""
    found: list[tuple[Ints, Ints, Floats]] = []
    for start in range(0, len(queries), _QUERIES):
        rows = queries[start : start + _QUERIES]
        cosine = asking[rows] @ vectors[members].T
        cosine[rows[:, None] == members[None, :]] = -np.inf  # itself
        near = _largest(cosine, min(count, len(members)))
        values = np.take_along_axis(cosine, near, axis=1)
        query, place = np.nonzero(values >= floor)
        found.append((rows[query], members[near[query, place]], values[query, place]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    columns: list[Any] = [np.concatenate(column) for column in zip(*found, strict=True)]
    return columns[0], columns[1], columns[2]


def _largest(values: Floats, count: int) -> NDArray[np.intp]:
    """The columns of the ``count`` largest values of each row, the largest first."""
    if count < values.shape[1]:
        chosen = np.argpartition(values, -count, axis=1)[:, -count:]
    else:
        chosen = np.broadcast_to(np.arange(values.shape[1]), values.shape).copy()
    order = np.argsort(-np.take_along_axis(values, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)
