"""Ids and names that can be shown and looked up: no control characters, no book in a cell. Pure."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

MOST_CHARACTERS = 1000
"""In an id, a label, a group; file systems take 255 bytes a name."""

MOST_HASHED = 64
"""Bytes of a text up to which hashing pays."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def sound_ids(
    column: Any, source: Path, name: str, fix: str = "each image needs one row"
) -> NDArray[np.object_]:
    """(rows,) a column's ids; a DataError if one is empty, stands twice or cannot be shown.

    ``fix`` says what to do about one that stands twice.
    """
    require_printable(column, source, name)
    ids: NDArray[np.object_] = column.to_numpy(zero_copy_only=False)
    if _surely_sound(column):
        return ids
    different = set(ids)
    if len(different) < len(ids):
        for id_ in ids:
            if id_ not in different:
                raise DataError(
                    source,
                    f"id {id_!r} stands in column {name!r} more than once",
                    fix,
                )
            different.remove(id_)
    if "" in different:
        row = int(np.flatnonzero(ids == "")[0]) + 2
        raise DataError(source, f"row {row} has an empty id", "give it one or remove the row")
    return ids


def _surely_sound(column: Any) -> bool:
    """Whether no text is empty and all differ, by 64-bit hashes: a set takes three times as long.

    False where two hashes are the same, or where texts are long: then only a set tells. The hash
    is a sum of bytes times random factors (Carter and Wegman 1979).
    """
    ends = np.frombuffer(column.buffers()[1], np.int64)[column.offset :][: len(column) + 1]
    letters = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    starts, lengths = ends[:-1], np.diff(ends)
    if not len(lengths) or lengths.min() < 1 or lengths.max() > MOST_HASHED:
        return False
    factors = np.random.default_rng(0).integers(2**64, size=MOST_HASHED + 1, dtype=np.uint64)
    hashes = lengths.astype(np.uint64) * factors[MOST_HASHED]
    for place in range(lengths.max()):
        longer = slice(None) if place < lengths.min() else np.flatnonzero(lengths > place)
        hashes[longer] += letters[starts[longer] + place] * factors[place]
    hashes.sort()
    return bool((hashes[1:] != hashes[:-1]).all())


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
