"""The training table: ids, targets, groups, metadata, in the harness's own shapes.

Everything is read as text, so that "007" stays "007" and nothing becomes NaN by its spelling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.corrections import correct, read_corrections, standing
from harness.data.frame import (
    Column,
    as_column,
    code,
    read_columns,
    read_header,
    require_column,
    spelled_alike,
    texts,
)
from harness.data.labels import make_targets
from harness.data.locate import match_files
from harness.data.sample import Sample, read_sample
from harness.data.sound import require_printable, sound_ids
from harness.data.state import CORRECTIONS
from harness.errors import ConfigError, DataError
from harness.patterns import common_home, placeholders
from harness.text import comparable, id_key

Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Table:
    """The labelled images: one row an image, in the file's order.

    ``target`` and ``targets`` are as harness.metrics describes truth and the columns of
    predictions; ``labels`` is the text that the table had, for people to read. ``in_one_cell``:
    the sample submission has one column for all labels of a row.
    """

    source: Path
    ids: Strings
    labels: Strings
    target: NDArray[Any]
    targets: tuple[str, ...]
    groups: Strings | None
    in_one_cell: bool


def read_table(competition: Competition, root: Path) -> Table:
    """The training table of a workspace, as corrected by ``audit/corrections.csv``.

    A DataError names the file, the row and the mend.
    """
    data = competition.data
    source = root / (data.train or common_home(data.images))
    sample = read_sample(competition, root)
    header = read_header(source) if data.train else list(placeholders(data.images[0]))
    require_printable(as_column(header), source, "header")
    label_columns = data.labels or _label_column(competition, header, sample)
    group = [data.group] if data.group else []
    columns = _training_columns(competition, root, (data.id, *label_columns, *group))
    if data.repeats == "merge":
        again = pd.DataFrame({name: texts(column) for name, column in columns.items()}).duplicated()
        columns = {name: column.filter(~again.to_numpy()) for name, column in columns.items()}
        fix = "its rows differ: keep one"
    else:
        fix = 'each image needs one row; [data] repeats = "merge" makes identical rows one'
    ids = sound_ids(columns[data.id], source, data.id, fix)
    known = (*data.classes, *(sample.labels if sample else ()))
    for name in (*label_columns, *group):
        require_printable(columns[name], source, name)
        columns[name] = spelled_alike(columns[name], known)
    if decisions := standing(read_corrections(root / CORRECTIONS)):
        frame = pd.DataFrame({name: texts(found) for name, found in columns.items()}, dtype=object)
        frame = correct(frame, decisions, data.id, tuple(label_columns), source)
        columns = {name: as_column(frame[name]) for name in columns}
        ids = texts(columns[data.id])
    labels = {name: code(columns[name]) for name in label_columns}
    target, targets, shown = make_targets(competition, labels, ids, sample, source)
    groups = None
    if data.group:
        groups = texts(columns[data.group])
        missing = np.flatnonzero(groups == "")
        if len(missing):
            raise DataError(
                source,
                f"{len(missing)} row(s) have no {data.group!r}, the first is id "
                f"{ids[missing[0]]!r}",
                "give each row its group; a row of its own may get a name of its own",
            )
    in_one_cell = sample is not None and len(sample.target_columns) == 1
    return Table(source, ids, shown, target, targets, groups, in_one_cell)


def _training_columns(
    competition: Competition, root: Path, columns: Sequence[str]
) -> dict[str, Column]:
    """These columns of the training rows: of the table, or of the images' paths."""
    data = competition.data
    if data.train:
        return read_columns(root / data.train, columns)
    found = match_files(data.images, root)
    source = root / common_home(data.images)
    if not found:
        raise DataError(
            source,
            f"has no image that fits {data.images[0]!r}",
            "mend 'images' in competition.toml",
        )
    rows = {data.id: as_column(found)}
    for name in columns:
        if name != data.id:
            require_column(placeholders(data.images[0]), name, source)
            rows[name] = as_column(comparable(said[name]) for said in found.values())
    return rows


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
    wanted = [data.id, *names]
    columns = (
        read_columns(root / str(data.test), wanted)
        if test
        else _training_columns(competition, root, wanted)
    )
    row_of = {id_key(id_): row for row, id_ in enumerate(texts(columns[data.id]))}
    if missing := next((id_ for id_ in ids if id_key(id_) not in row_of), None):
        source = root / str(data.test)
        raise DataError(source, f"has no row for id {missing!r}", "add it, or leave metadata out")
    rows = [row_of[id_key(id_)] for id_ in ids]
    return np.column_stack([texts(columns[name])[rows] for name in names])


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
