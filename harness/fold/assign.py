"""The assignment of rows to folds: pure, and a function of content alone.

A row's fold depends on the seed, on the ids, and on which rows share a label or a group. It does
not depend on the names of labels or groups, the order of the rows, the version of a library,
hash randomisation, the platform or the number of cores.

The algorithm, version 1 (``ALGORITHM``; any change to a result is a new version):

- An id's key is its hash under ``derive_key(1, "id")`` (see :mod:`harness.fold.keys`). The order
  in which repeat r deals the rows is that of ``mix(key XOR derive_key(1, "order", seed, r))``;
  the holdout's is that of ``mix(key XOR derive_key(1, "holdout", seed))``.
- The holdout is dealt first, as two folds of unequal weight, then the k folds of every repeat
  among the remaining rows. ``holdout`` is rounded to millionths.
- Classes are dealt as :func:`harness.fold.stratified.deal` says; a regression's strata are
  :func:`harness.fold.stratified.quantile_bins`, and inside a bin neighbouring values get
  different folds.
- Groups, and rows with several labels, are placed as :mod:`harness.fold.grouped` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.fold.checks import (
    Texts,
    check_classes,
    check_groups,
    check_ids,
    check_previous,
    check_rules,
    check_target,
)
from harness.fold.counts import count_rows, fold_notes, group_notes
from harness.fold.grouped import place_groups
from harness.fold.keys import Keys, derive_key, mix
from harness.fold.stratified import UNPLACED, Folds, Ints, deal, quantile_bins

ALGORITHM = 1
HOLDOUT = -1

_MILLION = 10**6


@dataclass(frozen=True)
class FoldRules:
    """What was asked for. ``holdout`` is a share of the rows; see ``assign`` for ``rare``."""

    k: int
    repeats: int = 1
    holdout: float = 0.0
    seed: int = 0
    rare: Literal["error", "spread"] = "error"


@dataclass(frozen=True)
class FoldPlan:
    """Each row's fold: ``assignment`` (rows, repeats), in the rows' given order.

    ``HOLDOUT`` (-1) marks the same rows in every repeat. ``notes`` are sentences worth telling.
    """

    assignment: Folds
    notes: tuple[str, ...]


def assign(
    ids: Texts,
    target: NDArray[Any],
    rules: FoldRules,
    *,
    groups: Texts | None = None,
    previous: Folds | None = None,
    class_names: Sequence[str] | None = None,
) -> FoldPlan:
    """Assign every row to one of ``rules.k`` folds in each repeat, or to the holdout.

    ``ids`` (rows,) are distinct texts. ``target`` is class codes from 0 (rows,), a 0/1 matrix
    (rows, labels), or floats (rows,) for a regression. ``groups`` (rows,) are texts; a group
    is never split. ``previous`` (rows, repeats) holds the folds of rows that must stay where
    they are, ``UNPLACED`` (-2) in the rows that are new. ``class_names`` serve messages only.

    A class with fewer rows than folds is an error, unless ``rules.rare`` is ``"spread"``: then
    each of its rows goes to another fold. DataError: rules that the rows cannot satisfy; missing
    labels or groups; ids that are not text, repeated, or nearly so; a group that ``previous``
    splits.
    """
    check_rules(rules.k, rules.repeats, rules.holdout, len(ids))
    keys = check_ids(ids)
    target = check_target(target, ids)
    if previous is None:
        previous = np.full((len(ids), rules.repeats), UNPLACED, np.int16)
    codes = None
    if groups is not None:
        codes = check_groups(groups, ids)
        check_previous(previous, groups, codes)

    assignment = np.full((len(ids), rules.repeats), HOLDOUT, np.int16)
    inside = np.flatnonzero(~_holdout(target, codes, keys, rules, previous))
    inside_target, inside_codes = target[inside], None if codes is None else codes[inside]
    check_classes(inside_target, inside_codes, rules.k, rules.rare, class_names)
    for repeat in range(rules.repeats):
        assignment[inside, repeat] = _place(
            inside_target,
            inside_codes,
            mix(keys[inside] ^ derive_key(ALGORITHM, "order", rules.seed, repeat)),
            (1,) * rules.k,
            previous[inside, repeat],
        )
    notes = fold_notes(count_rows(target, assignment, rules.k, class_names))
    if groups is not None and inside_codes is not None:
        notes += group_notes(groups, inside, inside_codes, rules.k)
    if rules.holdout and len(inside) == len(ids):
        notes += ("the holdout is empty: no row or group is small enough for its share",)
    return FoldPlan(assignment, notes)


def _holdout(
    target: NDArray[Any], groups: Ints | None, keys: Keys, rules: FoldRules, previous: Folds
) -> NDArray[np.bool_]:
    """Whether each row is in the holdout: (rows,)."""
    share = round(rules.holdout * _MILLION)
    if share == 0:
        return np.zeros(len(keys), np.bool_)
    order = mix(keys ^ derive_key(ALGORITHM, "holdout", rules.seed))
    placed = previous[:, 0].copy()
    placed[previous[:, 0] == HOLDOUT] = 1
    placed[previous[:, 0] >= 0] = 0
    sides = _place(target, groups, order, (_MILLION - share, share), placed)
    return np.asarray(sides == 1)


def _place(
    target: NDArray[Any],
    groups: Ints | None,
    keys: Keys,
    weights: Sequence[int],
    placed: Folds,
) -> Folds:
    """A fold for every row that is ``UNPLACED``, by the method that suits the task."""
    within = None
    if target.dtype.kind == "f":
        if groups is None:  # neighbouring values get different folds
            within = np.empty(len(keys), np.int64)
            within[np.lexsort((keys, target))] = np.arange(len(keys)) // len(weights)
        target = quantile_bins(target, len(weights))
    if groups is None and target.ndim == 2:
        groups = np.arange(len(keys))
    if groups is not None:
        return place_groups(groups, target, keys, weights, placed)
    return deal(target, keys, weights, placed, within=within)
