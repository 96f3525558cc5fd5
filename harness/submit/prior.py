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

from harness.competition import Competition
from harness.data.csvfile import open_csv
from harness.data.locate import listed_test_ids
from harness.errors import DataError
from harness.submit.forms import cells, default_columns


def prior_submission(
    competition: Competition, root: Path, targets: Sequence[str], prior: Sequence[float]
) -> tuple[str, int]:
    """(the text of a submission that has the decided prior (targets,) in every row, its rows).

    DataError where the sample submission, without one the test table, cannot be read; or, without
    either, where no test image is found.
    """
    data = competition.data
    ids_file = data.sample_submission or data.test
    if ids_file:
        given, rows = read_rows(root / ids_file)
    else:
        given, rows = [data.id], [[id_] for id_ in listed_test_ids(data, root)]
    id_column = data.id if data.id in given else given[0]
    id_place = given.index(id_column)
    asked = tuple(column for column in given if column != id_column)
    shown: set[str] = set()
    if not data.sample_submission:
        asked = default_columns(competition, targets)
        given = [id_column, *asked]
    elif len(asked) == 1:
        shown = {row[1 - id_place] for row in rows}
    (text,) = cells(competition, asked, targets, np.array([prior]), shown).tolist()
    place = given.index(id_column)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(given)
    writer.writerows([*text[:place], row[id_place], *text[place:]] for row in rows)
    return file.getvalue(), len(rows)


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """(the header, the rows) of a table, as text."""
    if path.suffix.lower() in (".parquet", ".pq"):
        from harness.data.frame import read_frame  # which takes half a second to import

        frame = read_frame(path)
        return list(frame.columns), frame.to_numpy().tolist()
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
