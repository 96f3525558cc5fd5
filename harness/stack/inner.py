"""Folds within folds: the splits on which a method makes its own choices."""

import numpy as np

from harness.stack.problem import Problem, Rows

CHECKED_ROWS = 5_000
"""To choose one of a few settings, checking on this many rows is enough."""


def splits_enough(problem: Problem, rows: Rows) -> list[tuple[Rows, Rows]]:
    """The first of ``inner_splits``, as many as it takes to check ``CHECKED_ROWS`` rows."""
    splits = inner_splits(problem, rows)
    checked = np.cumsum([len(outside) for _, outside in splits])
    return splits[: 1 + int(np.searchsorted(checked, CHECKED_ROWS))]


def inner_splits(problem: Problem, rows: Rows) -> list[tuple[Rows, Rows]]:
    """(fit, check) positions in ``rows``: each fold among them is checked once.

    If ``rows`` are a single fold, its groups (or rows) are dealt into three parts instead.
    """
    part = problem.folds[rows]
    if (part == part[0]).all():
        keys = np.arange(len(rows)) if problem.groups is None else problem.groups[rows]
        part = np.unique(keys, return_inverse=True)[1] % 3
    everything = np.arange(len(rows))
    if (part == part[0]).all():  # one row or one group: nothing to check on
        return [(everything, everything)]
    return [(everything[part != one], everything[part == one]) for one in np.unique(part)]


def thinned(rows: Rows, most: int, seed: int) -> Rows:
    """At most ``most`` of the rows, drawn at random, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
