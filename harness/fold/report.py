"""The class × fold table that ``fold`` prints."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from harness.fold.counts import Counts

_MOST_CLASSES = 20
_NAME_WIDTH = 20
_TABLE_WIDTH = 80


def fold_table(counts: Counts) -> Group:
    """Rows by class and fold of the first repeat, with totals, groups and the largest deviation.

    Of many classes only those that deviate most are shown; of many folds, the range.
    """
    table = Table(box=SIMPLE_HEAD)
    table.add_column(counts.kind, no_wrap=True, max_width=_NAME_WIDTH)
    for name in ("rows", *_fold_names(counts), *(["holdout"] if counts.holdout else [])):
        table.add_column(name, justify="right")

    worst = counts.deviation[:, 0].max(axis=1)
    shown = np.sort(np.argsort(-worst, kind="stable")[:_MOST_CLASSES])
    for code in shown.tolist():
        table.add_row(counts.names[code], *_cells(counts.cells[code, 0], counts))
    if len(shown) < len(counts.names):
        hidden = np.setdiff1d(np.arange(len(counts.names)), shown)
        name = f"… {len(hidden)} nearer"
        if counts.kind == "label":  # rows have several labels: their sum says nothing
            table.add_row(name)
        else:
            table.add_row(name, *_cells(counts.cells[hidden, 0].sum(axis=0), counts))
    table.add_section()
    table.add_row("all", *_cells(counts.rows[0], counts))
    if counts.groups is not None:
        table.add_row("groups", *_cells(counts.groups[0], counts))
    return Group(table, Text(_largest_deviation(counts)))


def _fold_names(counts: Counts) -> list[str]:
    return list(map(str, range(counts.folds.shape[2]))) if _fits(counts) else ["fewest", "most"]


def _cells(cells: NDArray[Any], counts: Counts) -> list[str]:
    holdout, *folds = cells.tolist()
    shown = folds if _fits(counts) else [min(folds), max(folds)]
    return [f"{n:,}" for n in (sum(cells), *shown, *([holdout] if counts.holdout else []))]


def _fits(counts: Counts) -> bool:
    """Whether a column a fold leaves the table readable in a terminal of 80 columns."""
    rows = counts.rows[0]
    numbers = [f"{rows.sum():,}", *(f"{n:,}" for n in rows[1:]), "holdout" * bool(counts.holdout)]
    return _NAME_WIDTH + sum(len(number) + 3 for number in numbers) <= _TABLE_WIDTH - 4


def _largest_deviation(counts: Counts) -> str:
    deviation = counts.deviation
    code, repeat, fold = np.unravel_index(int(deviation.argmax()), deviation.shape)
    where = f"fold {fold}" if deviation.shape[1] == 1 else f"repeat {repeat}, fold {fold}"
    return f"largest deviation: {deviation[code, repeat, fold]:.2%} ({counts.names[code]}, {where})"
