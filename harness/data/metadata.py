"""Metadata columns (age, site, …) as numbers: coded on the training table, the same ever after.

Pure, and free of pandas: who reads an ensemble needs only the record.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

Strings = NDArray[np.object_]

MOST_CATEGORIES = 50
"""A text column with more is a name or an id rather than a property."""


@dataclass(frozen=True)
class Column:
    """How a column of text becomes numbers.

    A number stays itself where there are no ``categories``. Categories become a column of 0 and 1
    each, but for two only one (the second's). What is empty or was never seen is NaN.
    """

    name: str
    categories: tuple[str, ...] = ()

    def encode(self, texts: Strings) -> NDArray[np.float32]:
        """(rows,) of text → (rows, 1 or as many as there are categories)."""
        if not self.categories:
            return np.array([[_number(text)] for text in texts], np.float32).reshape(-1, 1)
        marked = (texts[:, None] == np.array(self.categories, dtype=object)).astype(np.float32)
        marked[marked.sum(axis=1) == 0] = np.nan
        return marked[:, 1:] if len(self.categories) == 2 else marked


def encode(columns: Sequence[Column], texts: Strings) -> NDArray[np.float32] | None:
    """(rows, columns) of text → (rows, numbers) float32; None without columns."""
    if not columns:
        return None
    return np.hstack([column.encode(texts[:, i]) for i, column in enumerate(columns)])


def choose_columns(names: Sequence[str], texts: Strings, source: Path) -> tuple[Column, ...]:
    """How to code each column of the training table's ``texts`` (rows, columns).

    A column of numbers (and empty cells) is one of numbers; categories are in order of name.
    DataError if a column says nothing, or holds too many categories to be one.
    """
    columns = []
    for name, cells in zip(names, texts.T, strict=True):
        known = sorted({str(cell) for cell in cells} - {""})
        if len(known) < 2:
            raise DataError(
                source, f"column {name!r} says the same in every row", "leave it out of metadata"
            )
        if not any(math.isnan(_number(text)) for text in known):
            columns.append(Column(name))
        elif len(known) <= MOST_CATEGORIES:
            columns.append(Column(name, tuple(known)))
        else:
            raise DataError(
                source,
                f"column {name!r} holds {len(known)} different texts, more than {MOST_CATEGORIES}",
                "leave it out of metadata, or group its values",
            )
    return tuple(columns)


def _number(text: str) -> float:
    """The number that the text is; NaN where it is none."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
