"""What is known of a picture beside what it shows: its file's size and shape, and the table."""

import numpy as np

from harness.audit.pictures import Pictures
from harness.audit.probe import Floats
from harness.data.frame import read_header
from harness.data.metadata import Column, choose_columns
from harness.data.table import read_metadata
from harness.errors import DataError
from harness.workspace import Workspace

PIXELS = ("file size", "width", "height", "darkest", "brightest", "contrast", "sharpness")


def file_columns(pictures: Pictures) -> Floats:
    """What the file and its light are like, named by ``PIXELS``: (rows, columns)."""
    looks = pictures.looks
    width, height, size = looks.shape.T
    return np.column_stack([size, width, height, looks.light, looks.sharpness]).astype(np.float32)


def table_columns(workspace: Workspace, pictures: Pictures) -> tuple[list[str], Floats]:
    """(names, values (rows, columns)) of what both tables know; a category has a column each.

    Columns that say nothing, or are names rather than properties, are left out.
    """
    names: list[str] = []
    parts = [np.empty((len(pictures.ids), 0), np.float32)]
    for name in _shared_names(workspace):
        train, test = (
            read_metadata(workspace.competition, workspace.root, ids, [name], test=is_test)
            for ids, is_test in ((pictures.table.ids, False), (pictures.test_ids, True))
        )
        try:
            (column,) = choose_columns([name], train, pictures.table.source)
        except DataError:
            continue
        values = np.concatenate([column.encode(train[:, 0]), column.encode(test[:, 0])])
        parts.append(np.nan_to_num(values, nan=-1.0))
        names += _names(column, values.shape[1])
    return names, np.hstack(parts)


def _names(column: Column, width: int) -> list[str]:
    if width == 1:
        return [column.name]
    return [f"{column.name} = {category}" for category in column.categories]


def _shared_names(workspace: Workspace) -> list[str]:
    """Columns of both tables that are neither the id nor a label."""
    data, root = workspace.competition.data, workspace.root
    if data.test is None or data.train is None or (root / data.test).is_dir():
        return []
    taken = {data.id, data.label, *data.labels}
    there = read_header(root / data.test)
    return [name for name in read_header(root / data.train) if name in there and name not in taken]
