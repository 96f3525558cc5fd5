"""How a table and the recorded folds differ, and what a record says again: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fold.assign import ALGORITHM, FoldRules, assign
from harness.fold.stratified import UNPLACED, Ints
from harness.fold.stratified import Folds as FoldNumbers
from harness.workspace.folds import Folds, Text


@dataclass(frozen=True)
class SortedTable:
    """The training table as ``fold`` needs it, sorted by id: see ``assign`` and ``Folds``."""

    ids: Text
    target: NDArray[Any]
    groups: Text | None
    labels: Text | None
    class_names: Sequence[str] | None

    def assign(
        self,
        rules: FoldRules,
        rows: Ints | slice = slice(None),
        previous: FoldNumbers | None = None,
    ) -> tuple[FoldNumbers, tuple[str, ...]]:
        """Assign some of the rows; the folds and the notes."""
        groups = None if self.groups is None else self.groups[rows]
        plan = assign(
            self.ids[rows],
            self.target[rows],
            rules,
            groups=groups,
            previous=previous,
            class_names=self.class_names,
        )
        return plan.assignment, plan.notes


@dataclass(frozen=True)
class Change:
    """How a table differs from the recorded folds.

    ``recorded`` (rows of the table,) is the row of the record with that id, -1 if it is new;
    ``vanished`` are the record's rows that the table lacks; ``relabelled`` and ``regrouped`` are
    rows of the table.
    """

    recorded: Ints
    vanished: Ints
    relabelled: Ints
    regrouped: Ints

    @property
    def new(self) -> Ints:
        """The rows of the table that are not recorded."""
        return np.flatnonzero(self.recorded < 0)

    @property
    def nothing(self) -> bool:
        """Whether the record is up to date."""
        return not any(map(len, (self.new, self.vanished, self.relabelled, self.regrouped)))


def compare(record: Folds, table: SortedTable) -> Change:
    """What happened to the table since ``record`` was made."""
    recorded = _positions(table.ids, record.ids)
    seen = np.zeros(len(record.ids), np.bool_)
    seen[recorded[recorded >= 0]] = True
    return Change(
        recorded,
        np.flatnonzero(~seen),
        _differing(recorded, record.labels, table.labels),
        _differing(recorded, record.groups, table.groups),
    )


def describe(change: Change, record: Folds, table: SortedTable) -> tuple[str, ...]:
    """One phrase for each kind of change."""
    phrases = []
    if len(change.new):
        phrases.append(f"{len(change.new)} new row(s), first {table.ids[change.new[0]]!r}")
    if len(change.vanished):
        first = record.ids[change.vanished[0]]
        phrases.append(f"{len(change.vanished)} row(s) vanished, first {first!r}")
    for rows, was, now, what in (
        (change.relabelled, record.labels, table.labels, "label"),
        (change.regrouped, record.groups, table.groups, "group"),
    ):
        if len(rows) and was is not None and now is not None:
            row = rows[0]
            phrases.append(
                f"{len(rows)} {what}(s) changed, first of {table.ids[row]!r} "
                f"from {was[change.recorded[row]]!r} to {now[row]!r}"
            )
    return tuple(phrases)


def grow(
    record: Folds, change: Change, table: SortedTable, rules: FoldRules
) -> tuple[Folds, tuple[str, ...]]:
    """The record brought up to the table, without moving a row, and the notes on it."""
    kept = np.flatnonzero(change.recorded >= 0)
    previous = np.full((len(table.ids), record.repeats), UNPLACED, np.int16)
    previous[kept] = record.assignment[change.recorded[kept]]
    assignment, notes = table.assign(rules, previous=previous)

    follows = _follows(record, change, table, rules)
    generations = np.zeros(len(table.ids), np.int64)
    if follows and record.generations is not None:
        generations[kept] = record.generations[change.recorded[kept]]
    generations[change.new] = generations.max() + 1
    grown = replace(
        record,
        ids=table.ids,
        assignment=assignment,
        algorithm=ALGORITHM,
        groups=table.groups,
        labels=table.labels,
        generations=generations if generations.any() else None,
        recomputable=record.recomputable and follows,
    )
    return grown, notes


def recompute(record: Folds, table: SortedTable, rules: FoldRules) -> FoldNumbers:
    """The assignment of ``record`` from the table of the same ids, generation by generation.

    Where generation 0 does not follow from the table (``recomputable`` is false), it is taken
    from the record.
    """
    generations = record.generations
    if generations is None:
        generations = np.zeros(len(record.ids), np.int64)
    assignment = np.full_like(record.assignment, UNPLACED)
    if not record.recomputable:
        assignment[generations == 0] = record.assignment[generations == 0]
    rules = replace(rules, rare="spread")  # a class may have been rare before it grew
    for generation in range(int(generations.max()) + 1):
        rows = np.flatnonzero(generations <= generation)
        assignment[rows], _ = table.assign(rules, rows, assignment[rows])
    return assignment


def first_difference(record: Folds, assignment: FoldNumbers) -> str:
    """Where a recomputed assignment leaves the record, in one phrase; else empty."""
    rows, repeats = np.nonzero(record.assignment != assignment)
    if len(rows) == 0:
        return ""
    row, repeat = rows[0], repeats[0]
    column = "fold" if record.repeats == 1 else f"fold_{repeat}"
    return (
        f"{len(np.unique(rows))} of {len(record.ids)} rows differ, first {record.ids[row]!r}: "
        f"{column} is {record.assignment[row, repeat]}, computed anew "
        f"{assignment[row, repeat]}"
    )


def _positions(ids: Text, among: Text) -> Ints:
    """Where each id stands in ``among``, -1 if it does not: (ids,). Both are sorted."""
    # Walking along both is faster than a hash table, whose memory is visited at random.
    others = among.tolist()
    positions = []
    place = 0
    for text in ids.tolist():
        while place < len(others) and others[place] < text:
            place += 1
        found = place < len(others) and others[place] == text
        positions.append(place if found else -1)
    return np.array(positions, np.int64)


def _follows(record: Folds, change: Change, table: SortedTable, rules: FoldRules) -> bool:
    """Whether what was recorded can still be recomputed from the table's old rows."""
    if len(change.vanished) or len(change.regrouped) or record.algorithm != ALGORITHM:
        return False
    if len(change.relabelled) == 0:
        return True
    # A class that was renamed, or a number written differently, moves nothing.
    kept = np.flatnonzero(change.recorded >= 0)
    old = SortedTable(
        table.ids[kept],
        table.target[kept],
        None if table.groups is None else table.groups[kept],
        None,
        table.class_names,
    )
    return not first_difference(record, recompute(record, old, rules))


def _differing(recorded: Ints, was: Text | None, now: Text | None) -> Ints:
    """Rows of the table whose text is not the recorded one."""
    if was is None or now is None:
        return np.empty(0, np.int64)
    known = np.flatnonzero(recorded >= 0)
    return known[np.asarray(now[known] != was[recorded[known]], np.bool_)]
