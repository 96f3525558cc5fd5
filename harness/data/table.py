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
from harness.data.frame import read_frame, read_header, require_column
from harness.data.locate import listed_test_ids, match_files
from harness.data.sound import require_printable, require_sound_ids
from harness.errors import ConfigError, DataError
from harness.metrics import decide
from harness.patterns import common_home, placeholders

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
    """The training table of a workspace; a DataError names the file, the row and the mend."""
    data = competition.data
    source = root / (data.train or common_home(data.images))
    sample = read_sample(competition, root)
    header = read_header(source) if data.train else list(placeholders(data.images[0]))
    require_printable(np.array(header, dtype=object), source, "header")
    label_columns = data.labels or _label_column(competition, header, sample)
    frame = _training_frame(
        competition, root, (data.id, *label_columns, *([data.group] if data.group else []))
    )
    ids = frame[data.id].to_numpy(dtype=object)
    require_sound_ids(ids, source, data.id)
    text = frame[list(label_columns)].to_numpy(dtype=object)
    empty = np.flatnonzero((text == "").any(axis=1))
    # without a label of its own, a picture may have none of many
    if len(empty) and (competition.task != "multilabel" or data.labels):
        raise DataError(
            source,
            f"{len(empty)} row(s) have no label, the first is id {ids[empty[0]]!r}",
            "label them or leave them out of the training table",
        )
    target, targets, labels = _targets(competition, text, tuple(label_columns), sample, source)
    groups = None
    if data.group:
        groups = frame[data.group].to_numpy(dtype=object)
        require_printable(groups, source, data.group)
        missing = np.flatnonzero(groups == "")
        if len(missing):
            raise DataError(
                source,
                f"{len(missing)} row(s) have no {data.group!r}, the first is id "
                f"{ids[missing[0]]!r}",
                "give each row its group; a row of its own may get a name of its own",
            )
    return Table(source, ids, labels, target, targets, groups)


def _training_frame(competition: Competition, root: Path, columns: Sequence[str]) -> pd.DataFrame:
    """These columns of the training rows as text: of the table, or of the images' paths."""
    data = competition.data
    if data.train:
        return read_frame(root / data.train, columns)
    found = match_files(data.images, root)
    source = root / common_home(data.images)
    if not found:
        raise DataError(
            source,
            f"has no image that fits {data.images[0]!r}",
            "mend 'images' in competition.toml",
        )
    for column in columns:
        if column != data.id:
            require_column(placeholders(data.images[0]), column, source)
    rows = {name: [said[name] for said in found.values()] for name in columns if name != data.id}
    return pd.DataFrame({data.id: list(found), **rows}, dtype=object)


def read_sample(competition: Competition, root: Path) -> Sample | None:
    """The sample submission, or None where competition.toml names none."""
    data = competition.data
    if data.sample_submission is None:
        return None
    path = root / data.sample_submission
    columns = read_header(path)
    id_column = data.id if data.id in columns else columns[0]
    if len(columns) < 2:
        raise DataError(path, "has no column besides the id", "use the competition's own file")
    require_printable(np.array(columns, dtype=object), path, "header")
    ids = read_frame(path, [id_column])[id_column].to_numpy(dtype=object)
    require_sound_ids(ids, path, id_column)
    return Sample(path, tuple(columns), id_column, ids)


def read_test_ids(competition: Competition, root: Path) -> Strings:
    """The ids to predict: of the test table, of the sample submission, or of ``test_images``."""
    data = competition.data
    sample = read_sample(competition, root)
    if data.test is None:
        if sample is not None:
            return sample.ids
        return np.array(listed_test_ids(data, root), dtype=object)
    path = root / data.test
    ids: Strings = read_frame(path, [data.id])[data.id].to_numpy(dtype=object)
    require_sound_ids(ids, path, data.id)
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
    if test and data.test is None:
        raise ConfigError(
            "competition.toml [stack]",
            "metadata needs a table for the test rows",
            "set [data] test to one, or leave metadata out",
        )
    columns = [data.id, *names]
    frame = (
        read_frame(root / str(data.test), columns)
        if test
        else _training_frame(competition, root, columns)
    )
    return frame.set_index(data.id)[list(names)].loc[list(ids)].to_numpy(dtype=object)


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
    require_printable(labels, source, columns[0])
    if task == "multilabel":
        return _joined_labels(labels, competition.data.separator)
    classes = _class_order(competition, sorted_names(list(pd.unique(labels))), sample, source)
    codes = pd.Categorical(labels, categories=classes).codes.astype(np.int64)
    return codes, tuple(classes), labels


def _joined_labels(
    labels: Strings, separator: str
) -> tuple[NDArray[np.int8], tuple[str, ...], Strings]:
    """(0/1 (rows, labels), the labels in order, the text) of labels joined by a separator."""
    texts, place = np.unique(labels.astype(str), return_inverse=True)
    split = [[label for label in text.split(separator) if label] for text in texts]
    names = sorted_names(sorted({label for one in split for label in one}))
    hot = np.array([[name in one for name in names] for one in split], dtype=np.int8)
    return hot.reshape(len(texts), -1)[place], tuple(names), labels


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
        if sample is not None and task != "binary" and not competition.metric.names_labels:
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
    competition: Competition, header: Sequence[str], sample: Sample | None
) -> tuple[str, ...]:
    """The label column: as said, else the sample's only target column, if the table has it."""
    data = competition.data
    if data.label or not data.train:
        return (data.label_name,)
    if sample is not None and len(sample.target_columns) == 1:
        return sample.target_columns
    raise DataError(
        "competition.toml [data]",
        "names no label column",
        f'add label = "…"; the table has {", ".join(header[:12])}',
    )


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
