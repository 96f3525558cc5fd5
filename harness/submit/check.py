"""What a grader refuses, found before it is submitted. Pure."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harness.competition import Competition
from harness.errors import DataError
from harness.submit.forms import form_of
from harness.text import split

SUM_TOLERANCE = 1e-6


def check_submission(
    path: Path,
    frame: pd.DataFrame,
    competition: Competition,
    id_column: str,
    columns: Sequence[str],
    ids: Iterable[str],
    *,
    allow_empty: bool = False,
) -> None:
    """Refuse what graders refuse, naming the first offending row and column.

    ``frame`` is the submission as text; ``columns`` and ``ids`` are what it must hold. Rows are
    numbered as an editor shows them: the header is row 1. ``allow_empty``: a cell of joined labels
    may hold none.
    """
    wanted = (id_column, *columns)
    if missing := [name for name in wanted if name not in frame.columns]:
        raise DataError(path, f"has no column {missing[0]!r}", "submit the sample's columns")
    if extra := [name for name in frame.columns if name not in wanted]:
        raise DataError(path, f"has the extra column {extra[0]!r}", "submit the sample's columns")
    _check_ids(path, frame[id_column], list(ids))
    _check_cells(path, frame, id_column, list(columns), competition, allow_empty)


def _check_ids(path: Path, given: "pd.Series[str]", ids: list[str]) -> None:
    for found, message in (
        (given == "", "has no id"),
        (~given.isin(ids), "has the unknown id {!r}"),
        (given.duplicated(), "repeats the id {!r}"),
    ):
        if found.any():
            row = int(found.to_numpy().argmax())
            said = message.format(given.iloc[row])
            raise DataError(path, f"row {row + 2} {said}", "submit each of the sample's ids once")
    if len(given) < len(ids):
        absent = set(ids) - set(given)
        first = next(id_ for id_ in ids if id_ in absent)
        raise DataError(
            path,
            f"has {len(given)} rows for {len(ids)} ids, and none for {first!r}",
            "submit all ids",
        )


def _check_cells(
    path: Path,
    frame: pd.DataFrame,
    id_column: str,
    columns: list[str],
    competition: Competition,
    allow_empty: bool,
) -> None:
    form, most = form_of(competition, columns), competition.metric.k or 1
    text = frame[columns].to_numpy(dtype=object)
    if form in ("probabilities", "probability", "values"):
        values = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
        bad = ~np.isfinite(values)
        if form != "values":
            bad |= (values < 0) | (values > 1)
    else:
        values = np.zeros(text.shape)
        bad = np.array([[not cell.strip() for cell in row] for row in text])
        bad &= not (allow_empty and form == "labels")
        if form == "guesses":
            separator = competition.data.separator
            bad |= np.array([[len(split(cell, separator)) > most for cell in row] for row in text])
    if bad.any():
        row, place = divmod(int(bad.argmax()), len(columns))
        if not text[row, place].strip():
            what = "is empty"
        elif form == "guesses":
            what = f"holds more than {most} guesses"
        else:
            kind = "outside [0, 1]" if np.isfinite(values[row, place]) else "not a number"
            what = f"is {text[row, place][:40]!r}, {kind}"
        raise DataError(
            path,
            f"row {row + 2} (id {frame[id_column].iloc[row]!r}), column {columns[place]!r} {what}",
            "every cell needs a valid value",
        )
    if form == "probabilities" and competition.task != "multilabel":
        total = values.sum(axis=1)
        if (odd := np.abs(total - 1) > SUM_TOLERANCE).any():
            row = int(odd.argmax())
            raise DataError(
                path,
                f"row {row + 2} (id {frame[id_column].iloc[row]!r}) sums to {total[row]:.8g}",
                "probabilities of a row sum to 1",
            )
