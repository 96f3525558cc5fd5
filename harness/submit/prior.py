"""The submission of a process that has had no time to look at a single image.

Nothing heavy is imported: this must stand on disk before torch and pandas are. What it writes is
what ``harness.submit.table`` makes of the prior in every row (a test holds the two together).
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from harness.competition import Competition, DataSection
from harness.data.csvfile import open_csv
from harness.data.locate import listed_test_ids
from harness.errors import DataError
from harness.records import reading
from harness.submit.forms import cells, default_columns
from harness.text import comparable, spelled_as

MANY = 8192
"""Rows after which somebody may look at the clock."""

Look = Callable[[], None]


def prior_submission(
    competition: Competition,
    root: Path,
    targets: Sequence[str],
    prior: Sequence[float],
    look: Look = lambda: None,
) -> tuple[str, int]:
    """(the text of a submission that has the decided prior (targets,) in every row, its rows).

    ``look`` is called after every few thousand rows that were read. DataError where the sample
    submission, without one the test table, cannot be read; or, without either, where no test image
    is found.
    """
    data = competition.data
    place, ids = 0, list[str]()
    shown: dict[str, str] = {}  # the sample's cells without white space → as it spells them
    if data.sample_submission:
        table = _rows(root / data.sample_submission, look)
        header = next(table)
        place, asked = _split(header, data.id)
        for row in table:
            ids.append(row[place])
            if len(asked) == 1:
                shown[row[1 - place].strip()] = row[1 - place]
        if data.decides != "sample_submission":
            ids = spelled_as(ids, _ids_of(data, root, look))
    else:
        ids, asked = _ids_of(data, root, look), default_columns(competition, targets)
        header = [data.id, *asked]
    (text,) = cells(competition, asked, targets, np.array([prior]), shown).tolist()
    text = [shown.get(cell, cell) for cell in text]
    if any(mark in "".join(ids) for mark in ',"\r\n'):
        body = _csv([*text[:place], id_, *text[place:]] for id_ in ids)
    else:  # four times as fast
        before, after = _csv([[*text[:place], "0"]])[:-2], _csv([["0", *text[place:]]])[1:]
        body = before + (after + before).join(ids) + after
    return _csv([header]) + body, len(ids)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _split(header: Sequence[str], id_column: str) -> tuple[int, tuple[str, ...]]:
    """Return the place of the ids, the first if no column is called so, and the other names."""
    names = [comparable(name) for name in header]
    place = names.index(id_column) if id_column in names else 0
    return place, (*names[:place], *names[place + 1 :])


def _ids_of(data: DataSection, root: Path, look: Look) -> list[str]:
    """The ids of the test table or, without one or where test_ids says so, of ``test_images``."""
    if data.test is None or data.test_ids == "test_images":
        return listed_test_ids(data, root)
    table = _rows(root / data.test, look)
    place, _ = _split(next(table), data.id)
    return [row[place].strip() for row in table]


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """(the header, the rows) of a table, as text."""
    header, *rows = _rows(path)
    return header, rows


def _rows(path: Path, look: Look = lambda: None) -> Iterator[list[str]]:
    """Yield the header, then each row of a table, as text: a million rows are never kept."""
    if path.suffix.lower() in (".parquet", ".pq"):
        from harness.data.frame import read_columns  # which takes half a second to import

        columns = read_columns(path, as_is=True)
        yield list(columns)
        yield from map(list, zip(*(one.to_pylist() for one in columns.values()), strict=True))
        return
    number, fix = 0, "mend the file, or check [data] in competition.toml"
    with reading(path, fix, DataError), open_csv(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        for number, row in enumerate(filter(None, csv.reader(text)), 1):
            if number == 1:
                header = row
            if len(row) < len(header):
                raise DataError(path, f"row {number} has too few cells", fix)
            if number % MANY == 0:
                look()
            yield row
    if not number:
        raise DataError(path, "cannot be read as CSV (it is empty)", fix)
    if number == 1:
        raise DataError(path, "has a header and no rows", "it needs at least one row")
