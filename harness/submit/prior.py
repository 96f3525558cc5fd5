"""The submission of a process that has had no time to look at a single image.

Nothing heavy is imported: this must stand on disk before torch and pandas are. What it writes is
what ``harness.submit.table`` makes of the prior in every row (a test holds the two together).
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from harness.competition import Competition, DataSection
from harness.data.csvfile import open_csv
from harness.data.locate import listed_test_ids
from harness.errors import DataError
from harness.submit.forms import cells, default_columns
from harness.text import comparable, spelled_as


def prior_submission(
    competition: Competition, root: Path, targets: Sequence[str], prior: Sequence[float]
) -> tuple[str, int]:
    """(the text of a submission that has the decided prior (targets,) in every row, its rows).

    DataError where the sample submission, without one the test table, cannot be read; or, without
    either, where no test image is found.
    """
    data = competition.data
    place = 0
    shown: dict[str, str] = {}  # the sample's cells without white space → as it spells them
    if data.sample_submission:
        header, rows = read_rows(root / data.sample_submission)
        names = [comparable(name) for name in header]
        place = names.index(data.id) if data.id in names else 0
        ids = [row[place] for row in rows]
        asked = (*names[:place], *names[place + 1 :])
        if len(asked) == 1:
            shown = {row[1 - place].strip(): row[1 - place] for row in rows}
        if data.decides != "sample_submission":
            ids = spelled_as(ids, _ids_of(data, root))
    else:
        ids, asked = _ids_of(data, root), default_columns(competition, targets)
        header = [data.id, *asked]
    (text,) = cells(competition, asked, targets, np.array([prior]), shown).tolist()
    text = [shown.get(cell, cell) for cell in text]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([*text[:place], id_, *text[place:]] for id_ in ids)
    return file.getvalue(), len(ids)


def _ids_of(data: DataSection, root: Path) -> list[str]:
    """The ids of the test table or, without one or where test_ids says so, of ``test_images``."""
    if data.test is None or data.test_ids == "test_images":
        return listed_test_ids(data, root)
    header, rows = read_rows(root / data.test)
    names = [comparable(name) for name in header]
    place = names.index(data.id) if data.id in names else 0
    return [row[place].strip() for row in rows]


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """(the header, the rows) of a table, as text."""
    if path.suffix.lower() in (".parquet", ".pq"):
        from harness.data.frame import read_columns  # which takes half a second to import

        columns = read_columns(path, as_is=True)
        cells = (column.to_pylist() for column in columns.values())
        return list(columns), [list(row) for row in zip(*cells, strict=True)]
    try:
        with open_csv(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            header, *rows = [row for row in csv.reader(text) if row]
    except FileNotFoundError:
        fix = "check [data] in competition.toml"
        raise DataError(path, "there is no such file", fix) from None
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, BadZipFile) as error:
        raise DataError(path, f"cannot be read as CSV ({error})", "mend the file") from error
    if not rows:
        raise DataError(path, "has a header and no rows", "it needs at least one row")
    if odd := next((i for i, row in enumerate(rows) if len(row) < len(header)), None):
        raise DataError(path, f"row {odd + 2} has too few cells", "mend the file")
    return header, rows
