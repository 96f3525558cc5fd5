"""The submission's table: made to the sample's rules, and checked as a grader checks it. Pure
but for reading and writing the CSV itself."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.frame import read_frame
from harness.data.labels import sorted_names
from harness.data.table import Sample
from harness.errors import DataError, nearest
from harness.metrics import Metric, decide

SUM_TOLERANCE = 1e-6


def make_submission(
    competition: Competition,
    sample: Sample | None,
    ids: NDArray[np.object_],
    targets: tuple[str, ...],
    predictions: NDArray[Any],
) -> pd.DataFrame:
    """The table to submit for predictions (rows, targets), all as text.

    The sample's columns, their order and the order of its ids decide; without a sample there is
    a column a target, or the decided label where the metric looks at labels only.
    """
    id_column = sample.id_column if sample else competition.data.id
    columns = sample.target_columns if sample else _default_columns(competition, targets)
    if len(columns) == 1 and len(targets) > 1:
        if competition.metric.needs == "labels":
            cells = np.array(targets, dtype=object)[decide(predictions)][:, None]
        else:  # binary: the probability of the second class
            cells = _text(predictions[:, [1]])
    else:
        place = {name: i for i, name in enumerate(targets)}
        cells = _text(predictions[:, [place[name] for name in columns]])
    frame = pd.DataFrame(cells, columns=list(columns), dtype=object)
    frame.insert(0, id_column, ids)
    if sample:
        row = {id_: i for i, id_ in enumerate(ids)}
        frame = frame.iloc[[row[id_] for id_ in sample.ids]][list(sample.columns)]
    return frame


def check_submission(
    path: Path,
    frame: pd.DataFrame,
    competition: Competition,
    id_column: str,
    columns: Sequence[str],
    ids: Iterable[str],
) -> None:
    """Refuse what graders refuse, naming the first offending row and column.

    ``frame`` is the submission as text; ``columns`` and ``ids`` are what it must hold.
    """
    if missing := [name for name in (id_column, *columns) if name not in frame.columns]:
        raise DataError(path, f"has no column {missing[0]!r}", "submit the sample's columns")
    if extra := [name for name in frame.columns if name not in (id_column, *columns)]:
        raise DataError(path, f"has the extra column {extra[0]!r}", "submit the sample's columns")
    given = frame[id_column]
    if (repeated := given.duplicated()).any():
        raise DataError(path, f"id {given[repeated].iloc[0]!r} stands twice", "one row an id")
    wanted = set(ids)
    if unknown := sorted(set(given) - wanted):
        raise DataError(path, f"holds the unknown id {unknown[0]!r}", "submit the sample's ids")
    if absent := sorted(wanted - set(given)):
        raise DataError(
            path, f"lacks {len(absent)} id(s), the first is {absent[0]!r}", "submit all ids"
        )
    _check_cells(path, frame, id_column, competition)


def _check_cells(path: Path, frame: pd.DataFrame, id_column: str, competition: Competition) -> None:
    cells = frame.drop(columns=id_column)
    for column in cells:
        if (empty := cells[column].astype(str).str.strip() == "").any():
            raise _bad_cell(path, frame, id_column, empty, column, "is empty")
    if competition.metric.needs == "labels" and cells.shape[1] == 1:
        return
    values = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    for place, column in enumerate(cells):
        if (odd := ~np.isfinite(values[:, place])).any():
            raise _bad_cell(path, frame, id_column, odd, column, "is not a number")
        if competition.task == "regression":
            continue
        if (odd := (values[:, place] < 0) | (values[:, place] > 1)).any():
            raise _bad_cell(path, frame, id_column, odd, column, "is outside [0, 1]")
    if competition.task in ("multiclass", "ordinal") and cells.shape[1] > 1:
        off = np.abs(values.sum(axis=1) - 1)
        if (odd := off > SUM_TOLERANCE).any():
            row = int(odd.argmax())
            raise DataError(
                path,
                f"row {row + 2} (id {frame[id_column].iloc[row]!r}) sums to "
                f"{values[row].sum():.8g}",
                "probabilities of a row sum to 1",
            )


def _bad_cell(
    path: Path, frame: pd.DataFrame, id_column: str, bad: Any, column: object, what: str
) -> DataError:
    row = int(np.asarray(bad).argmax())
    return DataError(
        path,
        f"row {row + 2} (id {frame[id_column].iloc[row]!r}), column {column!r} {what}",
        "every cell needs a valid value",
    )


def grade(
    path: Path,
    solution_path: Path,
    competition: Competition,
    sample: Sample | None,
    metric: Metric,
) -> float:
    """The score of a submission CSV against a solution CSV.

    The solution has the ids and either one label column or the submission's own columns.
    """
    frame, solution = read_frame(path), read_frame(solution_path)
    id_column = sample.id_column if sample else competition.data.id
    for table, where in ((frame, path), (solution, solution_path)):
        if id_column not in table.columns:
            raise DataError(where, f"has no column {id_column!r}", "it names the rows")
    columns = sample.target_columns if sample else tuple(frame.columns.drop(id_column))
    check_submission(path, frame, competition, id_column, columns, solution[id_column])
    truth = solution.set_index(id_column).loc[frame[id_column]]
    return metric.score(
        *_truth_and_predictions(solution_path, truth, frame[list(columns)], competition)
    )


def _truth_and_predictions(
    path: Path, truth: pd.DataFrame, cells: pd.DataFrame, competition: Competition
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both in the shapes of harness.metrics; the rows correspond."""
    columns = list(cells.columns)
    if competition.task in ("regression", "multilabel"):
        if missing := [name for name in columns if name not in truth.columns]:
            raise DataError(path, f"has no column {missing[0]!r}", "it needs the submission's")
        values = truth[columns].to_numpy(dtype=float)
        return values.ravel() if competition.task == "regression" else values, cells.to_numpy(float)
    label = competition.data.label or "label"
    if label not in truth.columns:
        if len(truth.columns) != 1:
            raise DataError(path, f"has no column {label!r}", nearest(label, truth.columns))
        label = truth.columns[0]
    labels = truth[label].to_numpy(dtype=object)
    if len(columns) > 1:
        classes, predictions = columns, cells.to_numpy(dtype=float)
    elif competition.metric.needs == "labels":
        decided = cells[columns[0]].to_numpy(dtype=object)
        classes = sorted_names(sorted({*labels, *decided}))
        predictions = (decided[:, None] == np.array(classes, dtype=object)).astype(float)
    else:
        classes = sorted_names(sorted(set(labels)))
        second = cells.to_numpy(dtype=float)
        predictions = np.hstack([1 - second, second])
    if unknown := sorted(set(labels) - set(classes)):
        raise DataError(path, f"holds the label {unknown[0]!r}", f"known: {', '.join(classes[:9])}")
    codes = pd.Categorical(labels, categories=classes).codes.astype(np.int64)
    return codes, predictions


def _default_columns(competition: Competition, targets: tuple[str, ...]) -> tuple[str, ...]:
    if competition.metric.needs == "labels" or competition.task == "binary":
        return (competition.data.label or "label",)
    return targets


def _text(values: NDArray[Any]) -> NDArray[np.object_]:
    """Numbers as text of nine digits: rows that sum to 1 still do so to within 1e-6."""
    return np.array([[f"{value:.9g}" for value in row] for row in values], dtype=object)
