"""The label columns' text → targets in the harness's own shapes. Pure."""

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.frame import Coded
from harness.data.sample import Sample
from harness.errors import DataError
from harness.metrics import decide
from harness.text import in_one_spelling, number, split

Strings = NDArray[np.object_]
Targets = tuple[NDArray[Any], tuple[str, ...], Strings]
"""(target, names of the prediction columns, labels as text), as in harness.data.table.Table."""


def make_targets(
    competition: Competition,
    columns: dict[str, Coded],
    ids: Strings,
    sample: Sample | None,
    source: Path,
) -> Targets:
    """What the label columns say; a DataError names the first row that does not fit the task."""
    task, names = competition.task, tuple(columns)
    # in a cell of joined labels nothing may stand: a picture may have none of them
    if task != "multilabel" or len(columns) > 1:
        _require_labels(list(columns.values()), ids, source)
    column = next(iter(columns.values()))
    if len(columns) > 1:
        found = _from_marks(competition, columns, source)
    elif task == "regression":
        found = _numbers(column, source, names[0]), names, column.texts()
    elif task == "multilabel":
        found = _joined_labels(column, competition.data.separator, sample, source)
    else:
        classes = _class_order(competition, sorted_names(column.names.tolist()), sample, source)
        place = {name: code for code, name in enumerate(classes)}
        codes = np.array([place[name] for name in column.names], np.int64)[column.codes]
        found = codes, tuple(classes), column.texts()
    _require_columns(competition, sample, found[1], source)
    return found


def sorted_names(names: Sequence[str]) -> list[str]:
    """Class names in order: numbers numerically where all are numbers, else as text.

    >>> sorted_names(["10", "9", "-1"])
    ['-1', '9', '10']
    """
    if all(map(_is_number, names)):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def named_last(classes: list[str], columns: Sequence[str]) -> list[str]:
    """Of two classes the one that the only column is called after comes last: it is asked for.

    >>> named_last(["hot_dog", "not_hot_dog"], ["hot_dog"])
    ['not_hot_dog', 'hot_dog']
    """
    if len(classes) == 2 and len(columns) == 1 and columns[0] == classes[0]:
        return classes[::-1]
    return classes


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d*)?", name) is not None


def _require_labels(columns: Sequence[Coded], ids: Strings, source: Path) -> None:
    empty = np.flatnonzero(np.any([(c.names == "")[c.codes] for c in columns], axis=0))
    if len(empty):
        raise DataError(
            source,
            f"{len(empty)} row(s) have no label, the first is id {ids[empty[0]]!r}",
            "label them or leave them out of the training table",
        )


def _from_marks(competition: Competition, columns: dict[str, Coded], source: Path) -> Targets:
    """Columns of 0 and 1: a class each, or a label each."""
    names = tuple(columns)
    matrix = np.column_stack([_numbers(columns[name], source, name) for name in names])
    if not np.isin(matrix, (0, 1)).all():
        raise DataError(source, f"label columns {names[:3]}… hold more than 0 and 1", "mend")
    if competition.task == "multilabel":
        joined = [" ".join(np.array(names)[row == 1]) for row in matrix]
        return matrix.astype(np.int8), names, np.array(joined, dtype=object)
    odd = np.flatnonzero(matrix.sum(axis=1) != 1)
    if len(odd):
        raise DataError(
            source,
            f"row {odd[0] + 2} marks {int(matrix[odd[0]].sum())} classes",
            "a one-hot table marks exactly one; else set task = 'multilabel'",
        )
    return decide(matrix), names, np.array(names, dtype=object)[decide(matrix)]


def _require_columns(
    competition: Competition, sample: Sample | None, targets: Sequence[str], source: Path
) -> None:
    """Raise a DataError unless the sample's columns, or its one cell, can hold the targets."""
    columns = sample.target_columns if sample else ()
    data, metric, task = competition.data, competition.metric, competition.task
    if sample and (len(columns) > 1 or columns[0] in data.labels):
        odd = [name for name in columns if name not in targets]
        odd += [name for name in targets if name not in columns and task != "multilabel"]
        if odd:
            side = "a column that is no label" if odd[0] in columns else "no column for label"
            raise DataError(
                sample.path,
                f"disagrees with {source.name}: {side}: {odd[0]!r}",
                "check task and label columns in competition.toml",
            )
        return
    if sample and task not in ("binary", "regression") and not metric.names_labels:
        raise DataError(
            sample.path,
            f"has the one column {columns[0]!r} for {len(targets)} classes and "
            f"metric {metric.name!r}",
            "such a metric needs a column a class; check task and metric in competition.toml",
        )
    joined = metric.needs == "guesses" or (task == "multilabel" and sample)
    if joined and (odd := [name for name in targets if data.separator in name]):
        raise DataError(
            "competition.toml [data]",
            f"labels are joined by {data.separator!r}, and {odd[0]!r} has one in it",
            "set another 'separator', or rename the label",
        )


def _joined_labels(column: Coded, separator: str, sample: Sample | None, source: Path) -> Targets:
    """0/1 (rows, labels) of labels joined by a separator.

    A label that only the sample's columns name is one that no row has. A DataError where nothing
    is joined by ``separator``, and labels are joined by another sign.
    """
    known = [part for text in (sample.labels if sample else ()) for part in split(text, separator)]
    given = sorted({label for text in column.names for label in split(text, separator)})
    spelled = dict(zip(given, in_one_spelling(given, known), strict=True))
    names = sorted_names(sorted(set(spelled.values())))
    columns = sample.target_columns if sample and len(sample.target_columns) > 1 else ()
    if set(names) <= set(columns):
        names = sorted_names(columns)
    rows = [{spelled[label] for label in split(text, separator)} for text in column.names]
    if all(len(row) < 2 for row in rows):
        for name, sign in product(names, ";|,"):
            if len(parts := split(name, sign)) > 1 and set(parts) <= set(names):
                raise DataError(
                    source,
                    f"no cell has labels joined by {separator!r}, and {name!r} joins labels",
                    f'set [data] separator = "{sign}"',
                )
    hot = np.array([[name in row for name in names] for row in rows], dtype=np.int8)
    return hot.reshape(len(rows), -1)[column.codes], tuple(names), column.texts()


def _class_order(
    competition: Competition, classes: list[str], sample: Sample | None, source: Path
) -> list[str]:
    """The classes as [data] classes has them, else in the sample's order if it has a column a
    class."""
    if len(classes) < 2:
        raise DataError(source, f"has the single class {classes[0]!r}", "check the label column")
    task, said = competition.task, list(competition.data.classes)
    if said and (odd := sorted(set(said) ^ set(classes))):
        found = "lack" if odd[0] in classes else "name what no row has:"
        raise DataError(
            "competition.toml [data]",
            f"the classes {found} {odd[0]!r}",
            f"list those of {source.name}, each once",
        )
    a_column_each = sample is not None and len(sample.target_columns) > 1
    in_words = not all(map(_is_number, classes))
    if task == "ordinal" and in_words and not (said or a_column_each):
        raise DataError(
            "competition.toml [data]",
            f"does not say the order of {', '.join(map(repr, classes[:9]))}",
            'add classes = ["lowest", …, "highest"]',
        )
    if task == "binary" and len(classes) != 2:
        raise DataError(
            source, f"has {len(classes)} classes for task 'binary'", "set task = 'multiclass'"
        )
    columns = sample.target_columns if sample else ()
    each = set(columns) == set(classes)
    return said or (list(columns) if each else named_last(classes, columns))


def _numbers(column: Coded, source: Path, name: str) -> NDArray[np.float64]:
    numbers = np.array([number(text) for text in column.names], np.float64)
    odd = np.flatnonzero(~np.isfinite(numbers)[column.codes])
    if len(odd):
        raise DataError(
            source,
            f"row {odd[0] + 2}, column {name!r} is {column.texts()[odd[0]]!r}, not a number",
            "mend the value or the task in competition.toml",
        )
    return numbers[column.codes]
