"""Ids and names that can be shown and looked up: no control characters, no book in a cell. Pure."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

MOST_CHARACTERS = 1000
"""In an id, a label, a group; file systems take 255 bytes a name."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def require_sound_ids(ids: NDArray[Any], source: Path, column: str) -> None:
    """A DataError if an id is empty, stands twice or cannot be shown."""
    require_printable(ids, source, column)
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        for first in ids:
            if first in seen:
                break
            seen.add(first)
        raise DataError(
            source,
            f"id {first!r} stands in column {column!r} more than once",
            "each image needs one row",
        )
    if (ids == "").any():
        row = int(np.flatnonzero(ids == "")[0]) + 2
        raise DataError(source, f"row {row} has an empty id", "give it one or remove the row")


def require_printable(texts: NDArray[Any], source: Path, column: str) -> None:
    """A DataError that names the first text that would harm a terminal or a report."""
    # one search in all of them: a million rows in a tenth of a second
    if not _UNPRINTABLE.search("".join(texts)) and max(map(len, texts)) <= MOST_CHARACTERS:
        return
    for row, text in enumerate(texts):
        if len(text) > MOST_CHARACTERS:
            found = f"has {len(text):,} characters, more than {MOST_CHARACTERS}"
        elif odd := _UNPRINTABLE.search(text):
            found = f"holds the control character {odd[0]!r}"
        else:
            continue
        where = "the header" if column == "header" else f"row {row + 2}, column {column!r}"
        raise DataError(source, f"{where} {found}", "mend the file")
