"""The training table and the test ids: ids, targets, groups, in the harness's own shapes.

Everything is read as text, so that "007" stays "007" and nothing becomes NaN by its spelling.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.corrections import FILE as CORRECTIONS
from harness.data.corrections import correct, read_corrections, standing
from harness.errors import ConfigError, DataError, nearest
from harness.metrics import decide

Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Sample:
    """The sample submission: what a submission must look like."""

    path: Path
    columns: tuple[str, ...]  # the id column first among them or not, as the file has it
    id_column: str
    ids: Strings

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns to fill in, in the file's order."""
        return tuple(column for column in self.columns if column != self.id_column)


@dataclass(frozen=True)
class Table:
    """The labelled images: one row an image, in the file's order.

    ``target`` and ``targets`` are as harness.metrics describes truth and the columns of
    predictions; ``labels`` is the text that the table had, for people to read.
    """

    source: Path
    ids: Strings
    labels: Strings
    target: NDArray[Any]
    targets: tuple[str, ...]
    groups: Strings | None


def read_table(competition: Competition, root: Path) -> Table:
    """The training table of a workspace, as corrected by ``data/corrections.csv``.

    A DataError names the file, the row and the mend.
    """
    data = competition.data
    source = root / data.train
    sample = read_sample(competition, root)
    label_columns: tuple[str, ...] = ("label",)
    if source.is_dir():
        frame = _class_folders(source, data.id)
    else:
        frame = read_csv(source)
        label_columns = data.labels or _label_column(competition, frame, sample)
    for column in (data.id, *label_columns, *([data.group] if data.group else [])):
        _require_column(frame, column, source)
    _require_unique(frame[data.id].to_numpy(dtype=object), source, data.id)
    decisions = standing(read_corrections(root / CORRECTIONS))
    frame = correct(frame, decisions, data.id, tuple(label_columns), source)
    ids = frame[data.id].to_numpy(dtype=object)
    text = frame[list(label_columns)].to_numpy(dtype=object)
    empty = np.flatnonzero((text == "").any(axis=1))
    if len(empty):
        raise DataError(
            source,
            f"{len(empty)} row(s) have no label, the first is id {ids[empty[0]]!r}",
            "label them or leave them out of the training table",
        )
    target, targets, labels = _targets(competition, text, tuple(label_columns), sample, source)
    groups = None
    if data.group:
        groups = frame[data.group].to_numpy(dtype=object)
        missing = np.flatnonzero(groups == "")
        if len(missing):
            raise DataError(
                source,
                f"{len(missing)} row(s) have no {data.group!r}, the first is id "
                f"{ids[missing[0]]!r}",
                "give each row its group; a row of its own may get a name of its own",
            )
    return Table(source, ids, labels, target, targets, groups)


def read_sample(competition: Competition, root: Path) -> Sample | None:
    """The sample submission, or None where competition.toml names none."""
    data = competition.data
    if data.sample_submission is None:
        return None
    path = root / data.sample_submission
    frame = read_csv(path)
    id_column = data.id if data.id in frame.columns else str(frame.columns[0])
    if len(frame.columns) < 2:
        raise DataError(path, "has no column besides the id", "use the competition's own file")
    ids = frame[id_column].to_numpy(dtype=object)
    _require_unique(ids, path, id_column)
    return Sample(path, tuple(map(str, frame.columns)), id_column, ids)


def read_test_ids(competition: Competition, root: Path) -> Strings:
    """The ids to predict: the test table's, else the sample submission's."""
    data = competition.data
    sample = read_sample(competition, root)
    if data.test is None:
        if sample is None:
            raise DataError(
                "competition.toml [data]",
                "names neither 'test' nor 'sample_submission'",
                "add one, so that the ids to predict are known",
            )
        return sample.ids
    path = root / data.test
    frame = read_csv(path)
    _require_column(frame, data.id, path)
    ids: Strings = frame[data.id].to_numpy(dtype=object)
    _require_unique(ids, path, data.id)
    if sample is not None and set(ids) != set(sample.ids):
        odd = sorted(set(ids) ^ set(sample.ids))
        raise DataError(
            path,
            f"{len(odd)} id(s) are not in both it and {sample.path.name}, the first is {odd[0]!r}",
            "use the two files of the same competition",
        )
    return ids


def read_metadata(
    competition: Competition, root: Path, ids: Strings, names: Sequence[str], *, test: bool
) -> Strings:
    """The text (rows, columns) of metadata columns for ``ids``, from the train or the test table.

    ConfigError where there is no such table, or where a column is the id or a label.
    """
    data = competition.data
    if not names:
        return np.empty((len(ids), 0), dtype=object)
    sample = read_sample(competition, root)
    taken = {data.id, data.label, *data.labels, *(sample.target_columns if sample else ())}
    if odd := [name for name in names if name in taken]:
        raise ConfigError(
            "competition.toml [stack]",
            f"metadata names {odd[0]!r}, which is the id or the label",
            "leave it out",
        )
    where = data.test if test else data.train
    if where is None or (root / where).is_dir():
        raise ConfigError(
            "competition.toml [stack]",
            f"metadata needs a table for the {'test' if test else 'training'} rows",
            f"set [data] {'test' if test else 'train'} to a CSV file, or leave metadata out",
        )
    frame = read_csv(root / where)
    for name in names:
        _require_column(frame, name, root / where)
    return frame.set_index(data.id)[list(names)].loc[list(ids)].to_numpy(dtype=object)


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV table as text, nothing converted, nothing read as missing."""
    if not path.exists():
        raise DataError(path, "there is no such file", "check [data] in competition.toml")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except pd.errors.EmptyDataError:
        raise DataError(path, "is empty", "it needs a header line and rows") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(path, f"cannot be read as CSV ({reason})", "mend the file") from error
    if not len(frame):
        raise DataError(path, "has a header and no rows", "it needs at least one row")
    return frame


def sorted_names(names: Sequence[str]) -> list[str]:
    """Class names in order: numbers numerically where all are numbers, else as text.

    >>> sorted_names(["10", "9", "-1"])
    ['-1', '9', '10']
    """
    if all(re.fullmatch(r"[+-]?\d+(\.\d*)?", name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _targets(
    competition: Competition,
    text: NDArray[np.object_],
    columns: tuple[str, ...],
    sample: Sample | None,
    source: Path,
) -> tuple[NDArray[Any], tuple[str, ...], Strings]:
    """(target, names of the prediction columns, labels as text) from the label columns' text."""
    task = competition.task
    if task == "regression":
        labels = text[:, 0]
        return _numbers(labels, source, columns[0]), columns, labels
    if len(columns) > 1:
        matrix = np.column_stack(
            [_numbers(text[:, i], source, name) for i, name in enumerate(columns)]
        )
        if not np.isin(matrix, (0, 1)).all():
            raise DataError(source, f"label columns {columns[:3]}… hold more than 0 and 1", "mend")
        if task == "multilabel":
            joined = [" ".join(np.array(columns)[row == 1]) for row in matrix]
            return matrix.astype(np.int8), columns, np.array(joined, dtype=object)
        odd = np.flatnonzero(matrix.sum(axis=1) != 1)
        if len(odd):
            raise DataError(
                source,
                f"row {odd[0] + 2} marks {int(matrix[odd[0]].sum())} classes",
                "a one-hot table marks exactly one; else set task = 'multilabel'",
            )
        return decide(matrix), columns, np.array(columns, dtype=object)[decide(matrix)]
    labels = text[:, 0]
    classes = _class_order(competition, sorted_names(list(pd.unique(labels))), sample, source)
    codes = pd.Categorical(labels, categories=classes).codes.astype(np.int64)
    return codes, tuple(classes), labels


def _class_order(
    competition: Competition, classes: list[str], sample: Sample | None, source: Path
) -> list[str]:
    """The classes in the sample submission's order where it has a column a class."""
    if len(classes) < 2:
        raise DataError(source, f"has the single class {classes[0]!r}", "check the label column")
    task = competition.task
    if task == "binary" and len(classes) != 2:
        raise DataError(
            source, f"has {len(classes)} classes for task 'binary'", "set task = 'multiclass'"
        )
    if sample is None or len(sample.target_columns) == 1:
        if sample is not None and task != "binary" and competition.metric.needs != "labels":
            raise DataError(
                sample.path,
                f"has the one column {sample.target_columns[0]!r} for {len(classes)} classes and "
                f"metric {competition.metric.name!r}",
                "such a metric needs a column a class; check task and metric in competition.toml",
            )
        return classes
    columns = list(sample.target_columns)
    if odd := sorted(set(columns) ^ set(classes)):
        side = "a column that is no class" if odd[0] in columns else "no column for class"
        raise DataError(
            sample.path,
            f"disagrees with {source.name}: {side}: {odd[0]!r}",
            "check task and label column in competition.toml",
        )
    return columns


def _label_column(
    competition: Competition, frame: pd.DataFrame, sample: Sample | None
) -> tuple[str, ...]:
    """The label column: as said, else the sample's only target column, if the table has it."""
    if competition.data.label:
        return (competition.data.label,)
    if sample is not None and len(sample.target_columns) == 1:
        return sample.target_columns
    raise DataError(
        "competition.toml [data]",
        "names no label column",
        f'add label = "…"; the table has {", ".join(map(str, frame.columns[:12]))}',
    )


def _class_folders(folder: Path, id_column: str) -> pd.DataFrame:
    """One row for each file in a folder of class folders; the id is ``class/file``."""
    rows = [
        (f"{kind.name}/{file.name}", kind.name)
        for kind in sorted(folder.iterdir())
        if kind.is_dir() and not kind.name.startswith(".")
        for file in sorted(kind.iterdir())
        if file.is_file() and not file.name.startswith(".")
    ]
    if not rows:
        raise DataError(folder, "has no class folders with files", "check [data] train")
    return pd.DataFrame(rows, columns=[id_column, "label"], dtype=object)


def _numbers(values: Strings, source: Path, column: str) -> NDArray[np.float64]:
    numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64)
    odd = np.flatnonzero(~np.isfinite(numbers))
    if len(odd):
        raise DataError(
            source,
            f"row {odd[0] + 2}, column {column!r} is {values[odd[0]]!r}, not a number",
            "mend the value or the task in competition.toml",
        )
    return numbers


def _require_column(frame: pd.DataFrame, column: str, source: Path) -> None:
    if column not in frame.columns:
        raise DataError(
            source, f"has no column {column!r}", nearest(column, map(str, frame.columns))
        )


def _require_unique(ids: Strings, source: Path, column: str) -> None:
    repeated = pd.Series(ids).duplicated()
    if repeated.any():
        first = ids[int(repeated.argmax())]
        raise DataError(
            source,
            f"id {first!r} stands in column {column!r} more than once",
            "each image needs one row",
        )
    if (ids == "").any():
        row = int(np.flatnonzero(ids == "")[0]) + 2
        raise DataError(source, f"row {row} has an empty id", "give it one or remove the row")
