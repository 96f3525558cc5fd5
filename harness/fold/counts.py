"""Rows of each class in each fold, and what is worth telling about them: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fold.stratified import Folds, Ints, quantile_bins

_NAMED = 3  # examples in a note


@dataclass(frozen=True)
class Counts:
    """Rows of each class (or label, or bin of values) in each fold of each repeat.

    The last axis of every array is the holdout and then the folds: ``cells`` (classes, repeats,
    1 + k), ``rows`` (repeats, 1 + k), and ``groups`` likewise or None. ``names`` (classes,) are
    of the ``kind`` "class", "label" or "values".
    """

    kind: str
    names: tuple[str, ...]
    cells: Ints
    rows: Ints
    groups: Ints | None

    @property
    def folds(self) -> Ints:
        """The cells without the holdout: (classes, repeats, k)."""
        return self.cells[..., 1:]

    @property
    def holdout(self) -> int:
        """Rows in the holdout."""
        return int(self.rows[0, 0])

    @property
    def deviation(self) -> NDArray[np.float64]:
        """|rows - even share| / even share of every cell: (classes, repeats, k)."""
        share = self.folds.mean(axis=2, keepdims=True)
        return np.asarray(np.abs(self.folds - share) / np.where(share > 0, share, 1))

    def as_json(self) -> dict[str, dict[str, Any]]:
        """For the manifest: name → column of folds.csv → rows in each fold."""
        repeats = self.cells.shape[1]
        columns = ["fold"] if repeats == 1 else [f"fold_{repeat}" for repeat in range(repeats)]
        return {
            name: {
                **dict(zip(columns, cells[:, 1:].tolist(), strict=True)),
                **({"holdout": int(cells[0, 0])} if self.holdout else {}),
            }
            for name, cells in zip(self.names, self.cells, strict=True)
        }


def count_rows(
    target: NDArray[Any],
    assignment: Folds,
    k: int,
    class_names: Sequence[str] | None = None,
    groups: Ints | None = None,
) -> Counts:
    """Count the rows of an assignment (rows, repeats); values are counted in quantile bins.

    ``target`` and ``class_names`` are as for :func:`harness.fold.assign.assign`; ``groups``
    (rows,) are codes from 0.
    """
    if target.ndim == 2:
        kind, classes = "label", target.shape[1]
        row, code = np.nonzero(target)
    else:
        kind = "class"
        if target.dtype.kind == "f":
            kind = "values"
            target, class_names = _named_bins(target, k)
        row, code = np.arange(len(target)), target.astype(np.int64)
        classes = int(code.max()) + 1 if class_names is None else len(class_names)
    cells = [_count(code, folds[row], classes, k) for folds in assignment.T]
    return Counts(
        kind,
        tuple(map(str, range(classes) if class_names is None else class_names)),
        np.stack(cells, axis=1),
        np.stack([np.bincount(folds + 1, minlength=k + 1) for folds in assignment.T]),
        None if groups is None else np.stack([_count_groups(groups, f, k) for f in assignment.T]),
    )


def fold_notes(counts: Counts) -> tuple[str, ...]:
    """Folds that hold a single class, and classes that a fold lacks."""
    if counts.kind == "values":
        return ()
    present = counts.folds > 0
    known = np.flatnonzero(present[:, 0].any(axis=1))
    notes = []
    if counts.kind == "class" and len(known) > 1:
        for repeat, fold in np.argwhere(present.sum(axis=0) == 1):
            name = counts.names[int(present[:, repeat, fold].argmax())]
            notes.append(f"fold {fold}{_of(repeat, counts)} holds rows of class {name!r} only")
    lacking = np.argwhere(~present[known])
    if len(lacking):
        examples = ", ".join(
            f"{counts.names[known[code]]!r} in fold {fold}{_of(repeat, counts)}"
            for code, repeat, fold in lacking[:_NAMED]
        )
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        notes.append(f"no row of {counts.kind} {examples}{more}")
    return tuple(notes)


def group_notes(
    groups: Sequence[str] | NDArray[Any], rows: Ints, codes: Ints, k: int
) -> tuple[str, ...]:
    """Groups larger than a fold's share; ``rows`` are those outside the holdout, with codes."""
    sizes = np.bincount(codes)
    large = np.flatnonzero(sizes * k > len(rows))
    large = large[np.argsort(-sizes[large], kind="stable")]
    return tuple(
        f"group {groups[rows[int((codes == code).argmax())]]!r} holds {sizes[code]} of "
        f"{len(rows)} rows, more than 1/{k} of them: its fold is larger than the others"
        for code in large
    )


def _count(codes: Ints, folds: Folds, classes: int, k: int) -> Ints:
    """Rows of each class in the holdout and in each fold: (classes, 1 + k)."""
    cells = codes * (k + 1) + folds + 1
    return np.bincount(cells, minlength=classes * (k + 1)).reshape(classes, k + 1)


def _count_groups(groups: Ints, folds: Folds, k: int) -> Ints:
    """Groups in the holdout and in each fold: (1 + k,)."""
    pairs = np.unique(groups * (k + 1) + folds + 1)
    return np.bincount(pairs % (k + 1), minlength=k + 1)


def _of(repeat: int, counts: Counts) -> str:
    return f" of repeat {repeat}" if counts.cells.shape[1] > 1 else ""


def _named_bins(values: NDArray[Any], k: int) -> tuple[Ints, list[str]]:
    """Bin codes (rows,), and each bin's range with as few digits as tell the bins apart."""
    bins = quantile_bins(values, k)
    members = [values[bins == code] for code in range(int(bins.max()) + 1)]
    names: list[str] = []
    for digits in (3, 6, 9, 17):
        names = [f"{rows.min():.{digits}g} … {rows.max():.{digits}g}" for rows in members]
        if len(set(names)) == len(names):
            break
    return bins, names
