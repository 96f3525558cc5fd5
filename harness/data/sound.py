"""Ids and names that can be shown and looked up: no control characters, no book in a cell. Pure."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError

MOST_CHARACTERS = 1000
"""In an id, a label, a group; file systems take 255 bytes a name."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def require_sound_ids(ids: Any, source: Path, name: str) -> None:
    """A DataError if an id is empty, stands twice or cannot be shown; ``ids`` is a column."""
    import pyarrow.compute as arrow

    require_printable(ids, source, name)
    if arrow.count_distinct(ids).as_py() < len(ids):
        seen: set[str] = set()
        for id_ in ids.to_pylist():
            if id_ in seen:
                raise DataError(
                    source,
                    f"id {id_!r} stands in column {name!r} more than once",
                    "each image needs one row",
                )
            seen.add(id_)
    if (row := arrow.index(ids, "").as_py()) >= 0:
        raise DataError(source, f"row {row + 2} has an empty id", "give it one or remove the row")


def require_printable(column: Any, source: Path, name: str) -> None:
    """A DataError that names the first text that would harm a terminal or a report."""
    import pyarrow.compute as arrow

    if not len(column):
        return
    longest = arrow.max(arrow.utf8_length(column)).as_py()
    letters = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    plain = not len(letters) or (letters.min() >= 0x20 and letters.max() < 0x7F)
    if longest <= MOST_CHARACTERS and (
        plain or not _UNPRINTABLE.search("".join(column.to_pylist()))
    ):
        return
    for row, text in enumerate(column.to_pylist()):
        if len(text) > MOST_CHARACTERS:
            found = f"has {len(text):,} characters, more than {MOST_CHARACTERS}"
        elif odd := _UNPRINTABLE.search(text):
            found = f"holds the control character {odd[0]!r}"
        else:
            continue
        where = "the header" if name == "header" else f"row {row + 2}, column {name!r}"
        raise DataError(source, f"{where} {found}", "mend the file")
