"""Make, grow and check the folds of a workspace: what ``python -m harness fold`` does."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import WorkspaceError
from harness.fold.assign import ALGORITHM, FoldRules
from harness.fold.checks import Texts, check_groups, check_ids
from harness.fold.counts import Counts, count_rows
from harness.fold.manifest import (
    SortedTable,
    compare,
    describe,
    first_difference,
    grow,
    recompute,
)
from harness.workspace.folds import (
    CSV,
    FRESH,
    MANIFEST,
    Folds,
    order_by_id,
    read_folds,
    write_folds,
)


@dataclass(frozen=True)
class FoldsOutcome:
    """The folds as they now stand on disk, whether a file changed, and what is worth telling."""

    folds: Folds
    counts: Counts
    changed: bool
    messages: tuple[str, ...]


def make_folds(
    folder: Path,
    ids: Texts,
    target: NDArray[Any],
    rules: FoldRules,
    *,
    groups: Texts | None = None,
    labels_text: Texts | None = None,
    class_names: Sequence[str] | None = None,
    fresh: bool = False,
) -> FoldsOutcome:
    """Make the folds in ``folder``, or bring those there up to the table; no old row moves.

    A second run with the same table changes no file. ``fresh`` starts over, whatever is there.
    The table's columns are as for ``assign``, in any order; ``labels_text`` is what people read.

    DataError as ``assign``. WorkspaceError if the recorded folds are damaged or of other rules.
    """
    table = _sorted(ids, target, groups, labels_text, class_names)
    before = _read_if_any(folder, forgiving=fresh)
    if before is None or fresh:
        assignment, messages = table.assign(rules)
        folds = Folds(
            ids=table.ids,
            assignment=assignment,
            k=rules.k,
            seed=rules.seed,
            algorithm=ALGORITHM,
            holdout=rules.holdout,
            groups=table.groups,
            labels=table.labels,
        )
    else:
        before.require_rules(folder, asdict(rules), grouped=table.groups is not None)
        folds, messages = before, ()
        change = compare(before, table)
        if not change.nothing:
            folds, notes = grow(before, change, table, rules)
            messages = (
                *describe(change, before, table),
                "every row that had a fold keeps it",
                *notes,
            )
    if before is not None and before.digest != folds.digest:
        messages += (
            f"the folds' digest was {before.digest} and is {folds.digest}: OOF files and runs "
            "of the old one will be refused",
        )
    folds.require_rows(folder)
    groups = None if table.groups is None else check_groups(table.groups, table.ids)
    counts = count_rows(table.target, folds.assignment, rules.k, class_names, groups)
    changed = write_folds(folder, folds, counts.as_json())
    return FoldsOutcome(folds, counts, changed, messages)


def check_folds(
    folder: Path,
    ids: Texts,
    target: NDArray[Any],
    rules: FoldRules,
    *,
    groups: Texts | None = None,
    labels_text: Texts | None = None,
    class_names: Sequence[str] | None = None,
) -> str:
    """Compute the folds anew and compare them with the record; what was checked, in one sentence.

    A grown assignment is recomputed generation by generation. WorkspaceError names the first
    difference: in the rules, the rows, their labels and groups, or a fold.
    """
    table = _sorted(ids, target, groups, labels_text, class_names)
    record = read_folds(folder)
    record.require_rules(folder, asdict(rules), grouped=table.groups is not None)
    change = compare(record, table)
    if not change.nothing:
        raise WorkspaceError(
            folder / CSV,
            "is not of this table: " + "; ".join(describe(change, record, table)),
            "run `python -m harness fold`, which places new rows and moves no old one",
        )
    if record.algorithm != ALGORITHM:
        raise WorkspaceError(
            folder / MANIFEST,
            f"was made by algorithm {record.algorithm}, this version has {ALGORITHM}",
            "its folds stay valid, but only the version that made them can recompute them",
        )
    if difference := first_difference(record, recompute(record, table, rules)):
        raise WorkspaceError(folder / CSV, difference, FRESH)
    if record.recomputable:
        return f"all {len(record.ids)} rows are where they are computed to be"
    taken = np.count_nonzero(record.generations == 0) if record.generations is not None else None
    return (
        f"{len(record.ids) if taken is None else taken} rows stand as recorded (rows vanished or "
        "changed since they were placed, so they cannot be recomputed), the others as computed"
    )


def _sorted(
    ids: Texts,
    target: NDArray[Any],
    groups: Texts | None,
    labels: Texts | None,
    class_names: Sequence[str] | None,
) -> SortedTable:
    check_ids(ids)  # before sorting, which would fail less clearly on what is not text
    order = order_by_id(ids)
    return SortedTable(
        np.asarray(ids, dtype=object)[order],
        np.asarray(target)[order],
        None if groups is None else np.asarray(groups, dtype=object)[order],
        None if labels is None else np.asarray(labels, dtype=object)[order],
        class_names,
    )


def _read_if_any(folder: Path, *, forgiving: bool) -> Folds | None:
    if not (folder / CSV).exists() and not (folder / MANIFEST).exists():
        return None
    try:
        return read_folds(folder)
    except WorkspaceError:
        if forgiving:
            return None
        raise
