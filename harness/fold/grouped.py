"""Placing whole groups so that every class is spread evenly: pure.

The cost of a placement is the sum, over classes and folds, of the squared relative deviation
(count / rows of the class - share)² / share. Groups are placed where the cost grows least, the
largest first. To be fast, many are placed at a time, all against the same counts: a batch is at
most a 64th of the groups before it, so that the largest are placed with care, and of those that
are left, so that the smallest can even out what the batches did. At the end, moves and swaps
among the smallest lower the cost further (:mod:`harness.fold.refine`). A fold that is still empty
then gets the smallest group that is not alone in its fold.

Rows with several labels are placed in the same way, each a group of its own, with every label and
every pair of labels for a class. This follows iterative stratification (Sechidis, Tsoumakas &
Vlahavas 2011; with pairs, Szymański & Kajdanowicz 2017), where each row goes to the fold that
needs its rarest label most. Here all labels and pairs of a row speak at once, the rarer the
louder, and rows can still move at the end.

Floating-point sums run in an order that content decides, so they are the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fold.keys import Keys, mix
from harness.fold.refine import refine
from harness.fold.stratified import UNPLACED, Folds, Ints, smallest_keys

_BATCH = 64  # at most one in so many groups is placed at a time
_MOVABLE = 4096  # groups that may move at the end
_MOVABLE_CELLS = 1 << 22  # the most cells of a classes × groups matrix that is laid out for that


def place_groups(
    groups: Ints, target: NDArray[Any], keys: Keys, weights: Sequence[int], placed: Folds
) -> Folds:
    """Give every row that is ``UNPLACED`` a fold, the same for all rows of a group: (rows,).

    ``groups`` and ``target`` are codes (rows,), or ``target`` is a 0/1 matrix (rows, labels);
    codes and columns mean nothing, content orders them. A group of which some row is placed goes
    where that row is. ``weights`` are the folds' shares.
    """
    table = _tabulate(groups, target, keys)
    folds = np.full(len(table.starts) - 1, UNPLACED, np.int16)
    known = np.flatnonzero(placed != UNPLACED)
    folds[table.group_of_row[known]] = placed[known]
    new = np.flatnonzero(folds == UNPLACED)
    counts = table.count(folds, len(weights))
    done = 0
    while done < len(new):
        size = max(1, min(done, len(new) - done) // _BATCH)
        _place_batch(table, new[done : done + size], folds, counts, weights)
        done += size

    rows = table.rows_of_class[:, None]
    share = np.asarray(weights) / sum(weights)
    movable = new[len(new) - min(len(new), _MOVABLE, _MOVABLE_CELLS // len(rows)) :]
    folds[movable] = refine(
        table.dense(movable) / rows, folds[movable], counts / rows - share, share
    )
    if min(weights) == max(weights):  # a holdout may stay empty, a fold may not
        for fold in np.setdiff1d(np.arange(len(weights)), folds):
            of_several = movable[np.bincount(folds)[folds[movable]] > 1]
            folds[of_several[-1:]] = fold
    return folds[table.group_of_row]


@dataclass(frozen=True)
class _Groups:
    """Rows by group and class, as entries sorted by group.

    Groups are numbered by their weight, the largest first, then by their smallest key; classes by
    the sum of their keys. So the numbers follow from content alone.
    """

    group_of_row: Ints  # (rows,)
    starts: Ints  # (groups + 1,) into the entries
    class_of_entry: Ints
    count_of_entry: Ints
    rows_of_class: Ints  # (classes,)

    def entries(self, groups: Ints) -> tuple[Ints, Ints]:
        """The entries of these groups, and for each the position of its group among them."""
        counts = self.starts[groups + 1] - self.starts[groups]
        position = np.repeat(np.arange(len(groups)), counts)
        skipped = self.starts[groups] - (np.cumsum(counts) - counts)
        return np.arange(len(position)) + skipped[position], position

    def count(self, folds: Folds, k: int) -> Ints:
        """Rows of each class in each fold (classes, k), over the groups that are placed."""
        counts = np.zeros((len(self.rows_of_class), k), np.int64)
        groups = np.flatnonzero(folds != UNPLACED)
        entries, position = self.entries(groups)
        np.add.at(
            counts,
            (self.class_of_entry[entries], folds[groups[position]]),
            self.count_of_entry[entries],
        )
        return counts

    def dense(self, groups: Ints) -> NDArray[np.float64]:
        """Rows of each class in each of these groups: (classes, groups)."""
        cells = np.zeros((len(self.rows_of_class), len(groups)))
        entries, position = self.entries(groups)
        cells[self.class_of_entry[entries], position] = self.count_of_entry[entries]
        return cells


def _tabulate(groups: Ints, target: NDArray[Any], keys: Keys) -> _Groups:
    if target.ndim == 2:
        row, classes = _labels_and_pairs(target)
    else:
        row, classes = np.arange(len(target)), target
    present, classes = np.unique(classes, return_inverse=True)
    # Two pairs can share their smallest key, so a class is known by the sum of its keys.
    sums = np.zeros(len(present), np.uint64)
    np.add.at(sums, classes, mix(keys[row]))
    classes = _rank(sums)[classes]
    rows_of_class = np.bincount(classes)

    distinct, groups = np.unique(groups, return_inverse=True)
    cells, counts = np.unique(groups[row] * len(present) + classes, return_counts=True)
    size = np.bincount(groups)
    rank = _rank(smallest_keys(groups, keys, len(distinct)), -size)

    order = np.argsort(rank[cells // len(present)], kind="stable")
    cells, counts = cells[order], counts[order]
    starts = np.searchsorted(rank[cells // len(present)], np.arange(len(distinct) + 1))
    return _Groups(rank[groups], starts, cells % len(present), counts, rows_of_class)


def _labels_and_pairs(labels: NDArray[Any]) -> tuple[Ints, Ints]:
    """(row, class) of all that is to be spread: each label, each pair of labels, and every row."""
    count = labels.shape[1]
    labels_of_row = np.count_nonzero(labels, axis=1)
    rows, classes = [np.arange(len(labels))], [np.full(len(labels), count * count)]
    for several in np.unique(labels_of_row[labels_of_row > 0]).tolist():
        same = np.flatnonzero(labels_of_row == several)
        held = np.nonzero(labels[same])[1].reshape(len(same), several)
        first, second = np.triu_indices(several)  # a label with itself stands for the label
        rows.append(np.repeat(same, len(first)))
        classes.append((held[:, first] * count + held[:, second]).ravel())
    return np.concatenate(rows), np.concatenate(classes)


def _rank(*keys: NDArray[Any]) -> Ints:
    """Each item's place when all are sorted by the last key, then by those before it."""
    order = np.lexsort(keys)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _place_batch(
    table: _Groups, groups: Ints, folds: Folds, counts: Ints, weights: Sequence[int]
) -> None:
    """Place each of ``groups`` where the cost grows least, and add them all to ``counts``."""
    entries, position = table.entries(groups)
    classes = table.class_of_entry[entries]
    rows = table.count_of_entry[entries]
    relative = rows / table.rows_of_class[classes] / table.rows_of_class[classes]
    costs = np.zeros((len(groups), len(weights)))
    # add.at adds one after the other: a sum whose order no version of NumPy may choose
    np.add.at(costs, position, relative[:, None] * (2 * counts[classes] + rows[:, None]))
    chosen = (costs / np.asarray(weights)).argmin(axis=1)
    folds[groups] = chosen
    np.add.at(counts, (classes, chosen[position]), rows)
